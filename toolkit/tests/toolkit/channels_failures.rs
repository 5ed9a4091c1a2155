use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{App, AppError, Feature, Receiver, Scope, Sender};
use callgate_channels::{ChannelLayer, Error as LayerError};
use callgate_toolkit::channels;
use callgate_toolkit::test_client::{ResponseExt, TestClient};
use callgate_toolkit::{errors, lifespan, respond};

use crate::channels::{client, enter, gets, room};

#[tokio::test]
async fn a_layer_that_fails_denies_the_handshake_or_closes_with_1013() {
    let layer = ChannelLayer::memory();
    let client = client(&layer).await;
    let mut idle = enter(&client, "/listener").await;
    let mut publisher = enter(&client, "/?ada").await;
    gets(&mut publisher, &["+ada"]).await;
    gets(&mut idle, &["+ada"]).await;
    layer.close().await;
    for socket in [&mut idle, &mut publisher] {
        let close = socket.closed().await.unwrap();
        assert_eq!(
            (close.code, &*close.reason),
            (1013, "the channel layer is closed")
        );
    }

    let denied = client.websocket("/?eva").connect().await.unwrap_err();
    let response = denied.response().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.text(), "the channel layer is unavailable\n");
    let refused = client.websocket("/?eva").with_scope(|scope| {
        scope.features = scope.features.without(Feature::DenialResponse);
    });
    let refused = refused.connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), 403);
}

#[tokio::test]
async fn a_layer_that_cannot_be_opened_fails_the_start_up() {
    let app = channels::with_layer(room, || ChannelLayer::connect("nowhere"));
    let reason = lifespan::start(app).await.unwrap_err();
    assert!(
        reason.starts_with("there is no such channel layer"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_application_without_a_layer_says_how_to_get_one() {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    async fn lonely(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let error = channels::layer(&scope.state).unwrap_err().to_string();
        IS_TOLD.store(error.contains("channels::with_layer"), Ordering::Relaxed);
        respond::text("").send(&sender).await
    }
    TestClient::new(lonely).get("/").send().await.unwrap();
    assert!(IS_TOLD.load(Ordering::Relaxed));
}

#[tokio::test]
async fn an_error_of_the_layer_is_a_response() {
    fn app(error: LayerError) -> impl App {
        errors::handle(move |_: Scope, _: Receiver, _: Sender| {
            let error = error.clone();
            async move { Err::<(), _>(error.into()) }
        })
    }
    let unreachable = LayerError::Unreachable {
        target: "redis at secret.host".into(),
        reason: "refused".into(),
        retry: None,
    };
    let ahead = LayerError::SequenceAhead {
        asked: 9.to_string().parse().unwrap(),
        head: 1.to_string().parse().unwrap(),
    };
    for (error, status, message) in [
        (unreachable, 503, "the channel layer is unavailable"),
        (LayerError::Closed, 503, "the channel layer is unavailable"),
        (
            LayerError::NameTooLong {
                octets: 600,
                limit: 512,
            },
            400,
            "the name of the group has 600 bytes, and the limit is 512",
        ),
        (
            ahead,
            409,
            "the group has no number 9 (its greatest is 1): subscribe anew",
        ),
        (
            LayerError::WaitUnsupported { backend: "redis" },
            500,
            "the channel layer has failed",
        ),
    ] {
        let response = TestClient::new(app(error)).get("/").send().await.unwrap();
        assert_eq!(response.status(), status);
        let expected = serde_json::json!({ "error": message });
        assert_eq!(response.json::<serde_json::Value>().unwrap(), expected);
        assert_eq!(
            response.headers().contains_key("retry-after"),
            status == 503
        );
    }
}
