//! Applications that hang, panic, hold all content or ignore disconnects; the suite ends nevertheless.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callgate::{
    App, AppError, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope, Sender,
};
use callgate_conformance::{AppOptions, AppSuite, Verdict};
use http::StatusCode;

use crate::support::{answer, content, http, ids, options, report, run_lifespan, websocket};

#[test]
fn an_application_that_hangs_is_reported() {
    let report = report(|| |_: Scope, _: Receiver, _: Sender| pending());
    assert_eq!(ids(&report), ["LIFE-04"], "{report}");
}

#[test]
fn a_request_that_hangs_is_reported() {
    let report = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            http(scope)?;
            pending().await
        }
    });
    assert_eq!(ids(&report), ["CORE-13"], "{report}");
}

#[test]
fn an_application_that_blocks_its_thread_is_reported() {
    let since = Instant::now();
    let report = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            http(scope)?;
            loop {
                std::thread::park();
            }
        }
    });
    assert_eq!(ids(&report), ["CORE-13"], "{report}");
    assert!(report.to_string().contains("blocks its thread"));
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_lifespan_that_blocks_its_thread_does_not_block_the_suite() {
    let blocking = |scope: Scope, _: Receiver, _: Sender| async move {
        scope.into_lifespan()?;
        loop {
            std::thread::park();
        }
    };
    let suite = AppSuite::new(move || blocking, options());
    let report = suite.report();
    assert!(
        report.to_string().contains("its start-up failed"),
        "{report}"
    );
    assert!(suite.startup_failure().is_some());
}

#[test]
fn a_loop_that_ignores_the_disconnect_and_the_shutdown_is_reported() {
    let report = report(|| {
        |scope: Scope, mut receiver: Receiver, _: Sender| async move {
            http(scope)?;
            loop {
                receiver.receive().await;
            }
        }
    });
    assert_eq!(ids(&report), ["CORE-13", "EXT-20"], "{report}");
}

#[test]
fn a_loop_that_sends_for_ever_is_reported() {
    let report = report(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            http(scope)?;
            let _ = sender.send(HttpResponseStart::ok()).await;
            loop {
                let _ = sender.send(HttpResponseBody::part("more")).await;
            }
        }
    });
    assert_eq!(ids(&report), ["CORE-13"], "{report}");
}

#[test]
fn an_application_that_panics_at_once_is_reported() {
    let report = report(|| {
        |scope: Scope, _: Receiver, _: Sender| async move {
            http(scope)?;
            panic!("on purpose")
        }
    });
    assert_eq!(ids(&report), ["CORE-19"], "{report}");
    assert!(report.to_string().contains("panicked: on purpose"));
}

#[test]
fn content_that_is_copied_without_a_limit_is_reported() {
    let report = report(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            http(scope)?;
            let mut copy = Vec::new();
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(request) => {
                        copy.extend_from_slice(&request.body);
                        if !request.more_body {
                            return Ok(answer(&sender, copy.len().to_string()).await?);
                        }
                    }
                    ReceiveEvent::HttpDisconnect => return Ok(()),
                    _ => {}
                }
            }
        }
    });
    let expected: &[&str] = if cfg!(target_os = "linux") {
        &["CORE-22"]
    } else {
        &[]
    };
    assert_eq!(ids(&report), expected, "{report}");
}

#[test]
fn a_queue_of_messages_without_a_limit_is_reported() {
    let report = report(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            websocket(scope)?;
            sender.send(callgate::WebSocketAccept::new()).await?;
            let (queue, mut queued) = tokio::sync::mpsc::unbounded_channel();
            let sending = sender.clone();
            tokio::spawn(async move {
                while let Some(message) = queued.recv().await {
                    if sending
                        .send(callgate::Message::Binary(message))
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            });
            loop {
                match receiver.receive().await {
                    ReceiveEvent::WebSocketReceive(callgate::Message::Binary(octets)) => {
                        let _: Result<(), _> = queue.send(octets);
                    }
                    ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                    _ => {}
                }
            }
        }
    });
    assert_eq!(ids(&report), ["CORE-22"], "{report}");
}

#[test]
fn sends_that_pile_up_are_reported() {
    let report = report(|| {
        |scope: Scope, _: Receiver, sender: Sender| async move {
            http(scope)?;
            sender.send(HttpResponseStart::ok()).await?;
            let parts = (0..2000).map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(HttpResponseBody::part("more")).await })
            });
            for part in parts.collect::<Vec<_>>() {
                if part.await.expect("the task does not panic").is_err() {
                    return Ok(());
                }
            }
            Ok(sender.send(HttpResponseBody::end()).await?)
        }
    });
    assert_eq!(ids(&report), ["CORE-22"], "{report}");
    assert!(
        report.to_string().contains("sends were waiting at once"),
        "{report}"
    );
}

#[test]
fn a_lifespan_that_hangs_in_shutdown_is_reported() {
    let report = report(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            scope.into_lifespan()?;
            sender
                .send(callgate::LifespanStartupComplete::new())
                .await?;
            loop {
                receiver.receive().await;
            }
        }
    });
    assert_eq!(ids(&report), ["LIFE-09"], "{report}");
}

#[test]
fn a_failure_shows_the_rule_its_place_and_the_messages_up_to_the_break() {
    let suite = AppSuite::new(|| crate::mutants::start_twice, options());
    let panic = std::panic::catch_unwind(|| suite.assert("HTTP-15")).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    for expected in [
        "HTTP-15",
        "An application MUST NOT send `http.response.start` more than once.",
        "/callgate/documents/http/index.html#HTTP-15",
        "called    http GET /",
        "failed: HTTP-15",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    assert!(!text.contains("returned"), "{text}");
    suite.assert("HTTP-14");
}

#[test]
fn mixed_up_responses_are_reported_if_more_than_one_content_is_valid() {
    /// Takes `{"article": NUMBER}`, and responds with the number of the latest request, which may be
    /// another one.
    fn mixing() -> impl App {
        let last = Arc::new(Mutex::new(String::new()));
        move |scope: Scope, mut receiver: Receiver, sender: Sender| {
            let last = last.clone();
            async move {
                http(scope)?;
                let Some((content, _)) = content(&mut receiver).await else {
                    return Ok(());
                };
                let text = String::from_utf8_lossy(&content);
                let number = text
                    .strip_prefix(r#"{"article": "#)
                    .and_then(|rest| rest.strip_suffix('}'));
                let Some(number) = number else {
                    sender
                        .send(HttpResponseStart::new(StatusCode::BAD_REQUEST))
                        .await?;
                    return Ok(sender.send(HttpResponseBody::end()).await?);
                };
                *last.lock().unwrap() = number.to_owned();
                sender.send(HttpResponseStart::ok()).await?;
                // The concurrent calls reach this place before this call continues.
                for _ in 0..10 {
                    sender.send(HttpResponseBody::part("")).await?;
                }
                let answered = last.lock().unwrap().clone();
                Ok(sender.send(HttpResponseBody::last(answered)).await?)
            }
        }
    }
    let one = options().body(r#"{"article": 7}"#);
    let interleaved = |options: AppOptions| {
        let report = AppSuite::new(mixing, options).report_on(|rule| rule.id == "CORE-20");
        report.findings[0].verdict.clone()
    };
    // The other contents are invalid, so every response is the same refusal.
    let Verdict::NotApplicable(reason) = interleaved(one.clone()) else {
        panic!("the suite has compared refusals");
    };
    assert!(reason.contains("other_bodies"), "{reason}");
    let more = one.other_bodies([r#"{"article": 8}"#, r#"{"article": 9}"#]);
    let verdict = interleaved(more);
    assert!(verdict.is_failed(), "{verdict:?}");
}

#[test]
fn one_broken_rule_is_reported_although_the_lifespan_is_correct() {
    let report = report(|| {
        |scope: Scope, receiver: Receiver, sender: Sender| async move {
            match scope {
                Scope::Http(_) => Ok(()),
                Scope::Lifespan(_) => run_lifespan(receiver, sender).await,
                _ => Err(AppError::Unsupported),
            }
        }
    });
    assert_eq!(ids(&report), ["HTTP-30"], "{report}");
}
