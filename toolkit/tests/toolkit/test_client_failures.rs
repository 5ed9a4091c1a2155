use std::sync::Arc;
use std::time::Duration;

use callgate::transcript::Entry;
use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, SendError, Sender, rule,
};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, Failure, ResponseExt, TestClient, TestExchange};
use futures_util::stream;
use http::{Method, StatusCode};

/// Fails as its path says.
async fn fails(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    if scope.raw_path().starts_with("/started") {
        sender.send(HttpResponseStart::ok()).await?;
    }
    if scope.raw_path().starts_with("/streaming") {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("half")).await?;
    }
    match scope.query() {
        "declined" => Err(AppError::Unsupported),
        "error" => Err(AppError::failed("no database")),
        "panic" => panic!("for the test"),
        "violation" => {
            let broken = sender
                .send(HttpResponseStart::new(StatusCode::CONTINUE))
                .await;
            let again = sender.send(HttpResponseBody::end()).await;
            assert_eq!(broken.unwrap_err().rule(), again.unwrap_err().rule());
            Ok(())
        }
        _ => Ok(()),
    }
}

#[tokio::test]
async fn the_client_of_a_failed_call_gets_the_documented_response() {
    let client = TestClient::new(fails).allow_violations(true);
    for (query, status) in [
        ("declined", StatusCode::NOT_IMPLEMENTED),
        ("error", StatusCode::INTERNAL_SERVER_ERROR),
        ("panic", StatusCode::INTERNAL_SERVER_ERROR),
        ("violation", StatusCode::INTERNAL_SERVER_ERROR),
        ("", StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        for phase in ["waiting", "started"] {
            let response = client
                .get(format!("/{phase}?{query}"))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), status, "{phase} {query}");
            assert_eq!(response.text(), status.canonical_reason().unwrap());
            TestExchange::of(&response).ended().await.unwrap_err();
        }
        let cut = client.get(format!("/streaming?{query}")).send().await;
        let Err(Error::Cut(response)) = cut else {
            panic!("not cut: {cut:?}");
        };
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.text(), "half");
        TestExchange::of(&response).ended().await.unwrap_err();
    }
}

#[tokio::test]
async fn a_broken_rule_fails_the_call_of_the_client() {
    let client = TestClient::new(fails);
    for (query, broken) in [
        ("violation", rule::FINAL_STATUS),
        ("", rule::START_BEFORE_RETURN),
    ] {
        let error = client.get(format!("/waiting?{query}")).send().await;
        let Err(Error::Violation(violation, exchange)) = &error else {
            panic!("{query}: {error:?}");
        };
        assert_eq!(violation.rule, broken);
        let text = error.as_ref().unwrap_err().to_string();
        assert!(
            text.starts_with("the application broke a rule: HTTP-"),
            "{text}"
        );
        let end = format!("\nsee {}\n{}", broken.document_url(), exchange.transcript());
        assert!(text.ends_with(&end), "{text}");
    }
    for (query, broken) in [
        ("violation", rule::START_ONCE),
        ("", rule::END_BEFORE_RETURN),
    ] {
        let error = client.get(format!("/streaming?{query}")).send().await;
        let Err(Error::Violation(violation, _)) = &error else {
            panic!("{query}: {error:?}");
        };
        assert_eq!(violation.rule, broken);
    }
    // What is not the application's breach of a rule is what a real client sees.
    let error = client.get("/streaming?error").send().await;
    assert!(matches!(error, Err(Error::Cut(_))), "{error:?}");
    let response = client.get("/waiting?error").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn how_a_call_failed_can_be_asked() {
    let client = TestClient::new(fails).allow_violations(true);
    let failure = async |query| {
        let response = client.get(format!("/?{query}")).send().await.unwrap();
        let exchange = TestExchange::of(&response).clone();
        (exchange.ended().await.unwrap_err(), exchange.violation())
    };
    assert!(matches!(
        failure("declined").await,
        (Failure::Declined, None)
    ));
    let (error, _) = failure("error").await;
    assert_eq!(error.to_string(), "the application failed: no database");
    let (panic, _) = failure("panic").await;
    assert!(matches!(panic, Failure::Panicked(message) if message == "for the test"));
    let (violation, broken) = failure("violation").await;
    assert!(matches!(violation, Failure::Violation(_)));
    assert_eq!(broken.unwrap().rule, rule::FINAL_STATUS);
    let (violation, broken) = failure("").await;
    assert!(matches!(violation, Failure::Violation(_)));
    assert_eq!(broken.unwrap().rule, rule::START_BEFORE_RETURN);
}

#[tokio::test]
async fn a_send_after_the_end_or_after_the_call_fails() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = kept.clone();
    let client = TestClient::new(move |_: Scope, _: Receiver, sender: Sender| {
        *keep.lock().unwrap() = Some(sender.clone());
        async move {
            respond::text("whole").send(&sender).await?;
            let error = sender.send(HttpResponseBody::end()).await.unwrap_err();
            assert_eq!(error.rule(), Some(rule::NOTHING_AFTER_END));
            Ok(())
        }
    });
    let response = client.get("/").send().await.unwrap();
    assert_eq!(response.text(), "whole");
    TestExchange::of(&response).ended().await.unwrap_err();
    let sender: Sender = kept.lock().unwrap().take().unwrap();
    let late = sender.send(HttpResponseBody::end()).await;
    assert!(matches!(late, Err(SendError::Disconnected)));
}

#[tokio::test(start_paused = true)]
async fn an_application_that_hangs_fails_the_test_with_its_transcript() {
    async fn hangs(_: Scope, mut receiver: Receiver, _: Sender) -> Result<(), AppError> {
        receiver.receive().await;
        std::future::pending().await
    }
    let client = TestClient::new(hangs).timeout(Duration::from_secs(5));
    let error = client.get("/").send().await.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "waited 5s for a response in vain (see `TestClient::timeout`)\n\
         called    http GET / HTTP/1.1 {host: localhost}\n\
         received  http.request \"\" last"
    );
    let pending = client.get("/").start();
    let failure = pending.exchange().ended().await.unwrap_err();
    assert!(matches!(failure, Failure::TimedOut(_)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_after_its_grace_period_is_dropped() {
    async fn goes_on(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        std::future::pending().await
    }
    let client = TestClient::new(goes_on).grace_period(Duration::from_secs(3));
    let pending = client.get("/").start();
    pending.exchange().disconnect();
    let begun = tokio::time::Instant::now();
    let failure = pending.exchange().ended().await.unwrap_err();
    assert!(matches!(failure, Failure::OutOfGrace));
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test]
async fn endless_discarded_content_leaves_time_for_the_test() {
    async fn endless(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let part = scope.into_http()?.query().to_owned();
        let content = stream::repeat_with(|| Ok::<_, std::io::Error>(part.clone()));
        respond::stream(&mut receiver, content).send(&sender).await
    }
    let client = TestClient::new(endless).grace_period(Duration::ZERO);
    for (method, part) in [(Method::HEAD, "a"), (Method::GET, "")] {
        let request = client.method(method, format!("/?{part}"));
        let response = request.stream().await.unwrap();
        let exchange = TestExchange::of(&response).clone();
        drop(response);
        exchange.ended().await.unwrap();
    }
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn content_without_end_is_discarded_up_to_a_limit() {
    async fn endless(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        loop {
            sender.send(HttpResponseBody::part("a")).await?;
        }
    }
    let client = TestClient::new(endless);
    let response = client.head("/").send().await.unwrap();
    let exchange = TestExchange::of(&response);
    exchange.ended().await.unwrap();
    let events = exchange.transcript().sent().count();
    // The application sends until its task yields.
    assert!((1_000..2_000).contains(&events), "{events}");
}

#[tokio::test(start_paused = true)]
async fn an_application_whose_content_is_discarded_receives_a_disconnect() {
    async fn ticks(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        loop {
            sender.send(HttpResponseBody::part("a")).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
    let short = TestClient::new(ticks).grace_period(Duration::from_millis(2_500));
    // Before the time-out of the test, 10 seconds, has passed.
    for (client, sent) in [(short, 2), (TestClient::new(ticks), 3)] {
        let response = client.head("/").send().await.unwrap();
        let exchange = TestExchange::of(&response);
        exchange.ended().await.unwrap();
        let transcript = exchange.transcript();
        let parts = transcript.sent().count() - 1;
        assert_eq!(parts, sent, "{transcript}");
        client.shutdown().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_that_ends_discarded_content_has_no_grace_period() {
    async fn works(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        sender.send(HttpResponseStart::ok()).await?;
        sender.send(HttpResponseBody::part("a")).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        sender.send(HttpResponseBody::last("b")).await?;
        tokio::time::sleep(Duration::from_secs(7)).await;
        Ok(())
    }
    let client = TestClient::new(works).grace_period(Duration::from_secs(3));
    let response = client.head("/").send().await.unwrap();
    let exchange = TestExchange::of(&response);
    exchange.ended().await.unwrap();
    assert!(
        matches!(
            exchange.transcript().entries().last(),
            Some(Entry::Returned(Ok(())))
        ),
        "{exchange:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn work_after_the_last_event_has_no_grace_period_even_when_a_rule_is_broken_then() {
    async fn works(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        respond::text("whole").send(&sender).await?;
        let _ = sender.send(HttpResponseBody::end()).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    }
    let client = TestClient::new(works).grace_period(Duration::from_secs(3));
    let response = client.get("/").send().await.unwrap();
    TestExchange::of(&response).disconnect();
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(matches!(failure, Failure::Violation(_)), "{failure}");
}
