use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callgate::{AppError, Receiver, Scope, Sender};
use callgate_toolkit::respond::{self, Response};
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient, TestExchange};
use futures_util::stream;
use http::StatusCode;

/// Returns the response that a client gets from an application that always sends this one.
async fn answer(response: Response) -> http::Response<bytes::Bytes> {
    let client = TestClient::new(move |_: Scope, _: Receiver, sender: Sender| {
        let response = response.clone();
        async move { response.send(&sender).await }
    });
    let answer = client.get("/").send().await.unwrap();
    TestExchange::of(&answer).ended().await.unwrap();
    answer
}

#[tokio::test]
async fn each_kind_of_response_has_its_content_type() {
    for (response, content_type, content) in [
        (respond::bytes("b"), None, "b"),
        (respond::text("t"), Some("text/plain; charset=utf-8"), "t"),
        (
            respond::html("<p>"),
            Some("text/html; charset=utf-8"),
            "<p>",
        ),
        (
            respond::json(&[1]).unwrap(),
            Some("application/json"),
            "[1]",
        ),
        (
            respond::text("t").set_header("content-type", "text/csv"),
            Some("text/csv"),
            "t",
        ),
    ] {
        let answer = answer(response).await;
        let found = answer.headers().get("content-type");
        assert_eq!(found.map(|found| found.to_str().unwrap()), content_type);
        assert_eq!((answer.status(), answer.text()), (StatusCode::OK, content));
    }
    let redirect = answer(respond::redirect("/there")).await;
    assert_eq!(redirect.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(redirect.headers()["location"], "/there");
    let after_form = answer(respond::see_other("/there")).await;
    assert_eq!(after_form.status(), StatusCode::SEE_OTHER);
    assert_eq!(after_form.headers()["location"], "/there");
    let wrong = answer(respond::method_not_allowed("GET")).await;
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.headers()["allow"], "GET");
    let other = http::Response::builder()
        .status(201)
        .header("x-a", "1")
        .body("made");
    let made = answer(other.unwrap().into()).await;
    assert_eq!(
        (made.status().as_u16(), &made.headers()["x-a"], made.text()),
        (201, &"1".parse().unwrap(), "made")
    );
}

#[tokio::test]
async fn a_stream_is_asked_for_no_more_than_the_client_takes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let client = TestClient::new(move |_: Scope, mut receiver: Receiver, sender: Sender| {
        let count = count.clone();
        let parts = stream::iter(0..10).map_asked(count);
        async move {
            respond::stream(&mut receiver, parts)
                .status(StatusCode::ACCEPTED)
                .send(&sender)
                .await
        }
    });
    let mut response = client.get("/").stream().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // The empty part that has the head sent is held for the client, and one part waits to be sent.
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(response.body_mut().rest().await.unwrap(), "0123456789");
    TestExchange::of(&response).ended().await.unwrap();
}

/// Counts the polls of a stream.
trait MapAsked: futures_util::Stream<Item = i32> + Sized {
    fn map_asked(
        self,
        count: Arc<AtomicUsize>,
    ) -> impl futures_util::Stream<Item = Result<String, std::io::Error>> {
        futures_util::StreamExt::map(self, move |number| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(number.to_string())
        })
    }
}

impl<S: futures_util::Stream<Item = i32>> MapAsked for S {}

#[tokio::test]
async fn a_stream_that_fails_cuts_the_response() {
    let client = TestClient::new(
        |_: Scope, mut receiver: Receiver, sender: Sender| async move {
            let parts = stream::iter([Ok("half"), Err("the disk is gone")]);
            respond::stream(&mut receiver, parts).send(&sender).await
        },
    );
    let Err(Error::Cut(response)) = client.get("/").send().await else {
        panic!("not cut");
    };
    assert_eq!(response.text(), "half");
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert_eq!(
        failure.to_string(),
        "the application failed: the disk is gone"
    );
}

#[tokio::test]
async fn a_stream_ends_when_the_client_has_gone_away() {
    let client = TestClient::new(
        |_: Scope, mut receiver: Receiver, sender: Sender| async move {
            respond::stream(
                &mut receiver,
                stream::repeat_with(|| Ok::<_, AppErrorText>("x")),
            )
            .send(&sender)
            .await
        },
    );
    let response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    drop(response);
    exchange.ended().await.unwrap();
}

type AppErrorText = &'static str;

#[test]
#[should_panic(expected = "the value of the field `location` has a control character")]
fn a_redirect_cannot_smuggle_a_field_in() {
    let _ = respond::redirect("/\r\nset-cookie: a=1");
}

#[test]
fn an_error_of_a_disconnect_is_recognised_as_one() {
    let error: AppError = callgate_toolkit::read::ReadError::Disconnected.into();
    assert!(error.is_disconnected());
}

#[tokio::test]
async fn header_appends_and_set_header_replaces() {
    let response = respond::text("t")
        .header("x-a", "1")
        .header("x-a", 2)
        .set_header("x-b", "1")
        .set_header("x-b", "2");
    let answer = answer(response).await;
    let values = |name| answer.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(values("x-a"), ["1", "2"]);
    assert_eq!(values("x-b"), ["2"]);
}

#[tokio::test]
async fn a_stream_without_an_item_notices_that_the_client_has_gone_away() {
    let client = TestClient::new(
        |_: Scope, mut receiver: Receiver, sender: Sender| async move {
            let items = stream::pending::<Result<&str, std::io::Error>>();
            respond::stream(&mut receiver, items).send(&sender).await
        },
    );
    let response = client.get("/").stream().await.unwrap();
    let exchange = TestExchange::of(&response).clone();
    exchange.disconnect();
    exchange.ended().await.unwrap();
}
