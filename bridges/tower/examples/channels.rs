//! Rooms of an axum router on a channel layer, in one process or in many:
//! `CHANNELS=redis://127.0.0.1:6379 cargo run -p callgate-tower --features axum --example channels -- --port 8000`.
//! Without `CHANNELS` the rooms are in the memory of the process.
//!
//! ```console
//! $ python -m websockets ws://127.0.0.1:8000/rooms/7/ws
//! $ curl --data Hello http://127.0.0.1:8000/rooms/7
//! $ curl http://127.0.0.1:8000/rooms/7
//! ```

use std::pin::pin;
use std::process::ExitCode;

use axum::Router;
use axum::extract::Path;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use callgate::App;
use callgate_channels::{
    ChannelLayer, Error, Group, GroupEvent, Membership, Payload, Subscription,
};
use callgate_toolkit::channels::with_layer;
use callgate_tower::{Resource, ServiceApp};
use futures_util::future::select;
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;

/// An error of the layer as a response. The client is not told which host cannot be reached.
struct LayerError(Error);

impl From<Error> for LayerError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for LayerError {
    fn into_response(self) -> Response {
        tracing::error!("{}", self.0);
        match self.0 {
            Error::NameTooLong { .. } | Error::MessageTooLarge { .. } => {
                (StatusCode::BAD_REQUEST, format!("{}\n", self.0)).into_response()
            }
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The rooms are unavailable.\n",
            )
                .into_response(),
        }
    }
}

fn room(layer: &ChannelLayer, name: &str) -> Group {
    layer.group(&format!("rooms:{name}"))
}

/// Returns the number of WebSockets in a room, in all processes.
async fn count(
    Path(name): Path<String>,
    Resource(layer): Resource<ChannelLayer>,
) -> Result<String, LayerError> {
    let count = room(&layer, &name).member_count().await?;
    Ok(format!("{count}\n"))
}

/// Publishes the content of a request to a room.
async fn publish(
    Path(name): Path<String>,
    Resource(layer): Resource<ChannelLayer>,
    text: String,
) -> Result<StatusCode, LayerError> {
    room(&layer, &name).publish(text).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Opens a WebSocket to a room. A layer that cannot be reached is a response of 503 in place of the WebSocket.
async fn enter(
    Path(name): Path<String>,
    Resource(layer): Resource<ChannelLayer>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, LayerError> {
    let room = room(&layer, &name);
    let subscription = room.subscribe().await?;
    let membership = room.join(()).await?;
    Ok(upgrade.on_upgrade(|socket| serve(socket, subscription, membership)))
}

/// Passes messages between a client and its room, until either ends. The member leaves when the membership is dropped.
async fn serve(socket: WebSocket, mut subscription: Subscription, membership: Membership) {
    let (mut outgoing, mut incoming) = socket.split();
    // Each of the two returns whether the layer has ended it, and not the client. A client that does not read holds up
    // the first only: it loses the oldest messages, and is told so.
    let forward = async {
        while let Some(event) = subscription.next().await {
            let frame = match event {
                GroupEvent::Message(message) => match message.payload {
                    Payload::Text(text) => Frame::text(text.to_string()),
                    Payload::Binary(bytes) => Frame::Binary(bytes),
                },
                GroupEvent::Missed(_) => Frame::text("(some messages are missing here)"),
                _ => continue,
            };
            if outgoing.send(frame).await.is_err() {
                return false;
            }
        }
        true
    };
    let publish = async {
        while let Some(Ok(frame)) = incoming.next().await {
            let payload = match frame {
                Frame::Text(text) => Payload::from(text.as_str()),
                Frame::Binary(bytes) => Payload::Binary(bytes),
                _ => continue,
            };
            if let Err(error) = membership.group().publish(payload).await {
                tracing::error!("{error}");
                return true;
            }
        }
        false
    };
    let is_layer_gone = select(pin!(forward), pin!(publish)).await.factor_first().0;
    if is_layer_gone {
        let close = CloseFrame {
            code: close_code::AGAIN,
            reason: "the rooms are unavailable".into(),
        };
        // A client that is gone needs no close frame.
        let _ = outgoing.send(Frame::Close(Some(close))).await;
    }
}

fn app(url: String) -> impl App {
    let router = Router::new()
        .route("/rooms/{name}", get(count).post(publish))
        .route("/rooms/{name}/ws", any(enter));
    with_layer(ServiceApp::new(router), move || {
        let url = url.clone();
        async move { ChannelLayer::connect(&url).await }
    })
}

fn main() -> ExitCode {
    let url = std::env::var("CHANNELS").unwrap_or_else(|_| "memory".to_owned());
    callgate_server::cli::main(app(url))
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt as _, TestClient};

    use super::*;

    #[tokio::test]
    async fn all_in_a_room_get_what_is_published_there() {
        let client = TestClient::start(app("memory".into())).await.unwrap();
        let mut first = client.websocket("/rooms/7/ws").connect().await.unwrap();
        let mut second = client.websocket("/rooms/7/ws").connect().await.unwrap();
        let other = client.websocket("/rooms/8/ws").connect().await.unwrap();
        let count = client.get("/rooms/7").send().await.unwrap();
        assert_eq!(count.text(), "2\n");

        first.send_text("Hello").await.unwrap();
        let published = client.post("/rooms/7").body("by a request").send().await;
        assert_eq!(published.unwrap().status(), 202);
        for socket in [&mut first, &mut second] {
            let mut texts = [socket.text().await.unwrap(), socket.text().await.unwrap()];
            texts.sort();
            assert_eq!(texts, ["Hello", "by a request"]);
        }
        drop((first, second, other));
        client.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_name_that_is_too_long_is_a_bad_request() {
        let client = TestClient::start(app("memory".into())).await.unwrap();
        let target = format!("/rooms/{}", "7".repeat(600));
        let response = client.get(target).send().await.unwrap();
        assert_eq!(response.status(), 400);
    }
}
