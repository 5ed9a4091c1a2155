//! Servers that break the rules checked in `cases/http_fields.rs`.

use std::task::{Context, Poll};

use callgate::rule;
use callgate::{Channel, SendError, SendEvent};
use http::HeaderValue;

use super::assert_breaks;
use crate::in_process::InProcess;
use crate::tamper::{Between, between};

#[tokio::test]
async fn http_37_repeated_fields_are_joined() {
    struct Joins;
    impl Between for Joins {
        fn send(
            &self,
            server: &dyn Channel,
            cx: &mut Context<'_>,
            event: &mut Option<SendEvent>,
        ) -> Poll<Result<(), SendError>> {
            if let Some(SendEvent::HttpResponseStart(start)) = event {
                let cookies: Vec<_> = start
                    .headers
                    .get_all("set-cookie")
                    .iter()
                    .map(HeaderValue::as_bytes)
                    .collect();
                if cookies.len() > 1 {
                    let joined = HeaderValue::from_bytes(&cookies.join(&b", "[..])).unwrap();
                    start.headers.insert("set-cookie", joined);
                }
            }
            server.poll_send(cx, event)
        }
    }
    let mutant = InProcess {
        app: Some(|probe| between(probe, || Joins)),
        ..InProcess::default()
    };
    assert_breaks(rule::RESPONSE_HEADERS_KEPT, mutant).await;
}

#[tokio::test]
async fn http_38_no_server_field_is_added() {
    let mutant = InProcess {
        config: Some(|config| config.server_header = false),
        ..InProcess::default()
    };
    assert_breaks(rule::DEFAULT_HEADERS, mutant).await;
}
