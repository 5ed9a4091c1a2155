//! A WebSocket of a tower service. The service responds to a handshake, and then exchanges frames
//! with the bridge over a connection in memory.

mod relay;
mod upgrade;

use std::task::{Context, Poll, ready};

use callgate::{
    AppError, Feature, ReceiveEvent, Receiver, Sender, WebSocketAccept, WebSocketClose,
    WebSocketScope,
};
use http::header::{
    CONTENT_LENGTH, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use tower_service::Service;

use self::relay::WebSocketRelay;
use self::upgrade::Upgrade;
use super::disconnect::DisconnectWatch;
use super::request;
use super::response_sender::{ResponseSender, remove_connection_fields};
use super::{RequestBody, call};
use crate::{Background, BoxError};

/// Serves one WebSocket with `service`.
pub(super) async fn serve<S, B>(
    service: S,
    scope: WebSocketScope,
    receiver: Receiver,
    sender: Sender,
    background: Background,
) -> Result<(), AppError>
where
    S: Service<Request<RequestBody>, Response = Response<B>> + Send,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let version = scope.version;
    let offers_denial = scope.features.contains(Feature::DenialResponse);
    let (on_upgrade, upgrade) = Upgrade::begin().await?;
    let request = request::of_websocket(scope, on_upgrade, background);
    let mut handshake = HandshakeReceiver(receiver);
    let response = handshake
        .unless_disconnected(call(service, request))
        .await??;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        sender
            .send(acceptance(response.into_parts().0.headers)?)
            .await?;
        let (stream, read) = upgrade.complete().await?;
        return WebSocketRelay::new(stream, &read, handshake.0, sender)
            .run()
            .await;
    }
    // Over HTTP/2 a 2xx status would open the WebSocket.
    let opens = version == Version::HTTP_2 && response.status().is_success();
    if offers_denial && !opens {
        let response_sender = ResponseSender::for_denial(version);
        return response_sender
            .send(response, &mut handshake, &sender)
            .await;
    }
    sender.send(WebSocketClose::default()).await?;
    Ok(())
}

/// Creates the event that accepts the WebSocket. The server adds the fields of the handshake (rule
/// `WS-07`).
fn acceptance(mut headers: HeaderMap) -> Result<WebSocketAccept, AppError> {
    let mut accept = WebSocketAccept::new();
    if let Some(subprotocol) = headers.remove(SEC_WEBSOCKET_PROTOCOL) {
        accept.subprotocol = Some(subprotocol.to_str()?.into());
    }
    remove_connection_fields(&mut headers);
    for name in [
        CONTENT_LENGTH,
        SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_VERSION,
    ] {
        headers.remove(name);
    }
    accept.headers = headers;
    Ok(accept)
}

/// The receiver until the service has responded to the handshake. Only a disconnect matters.
struct HandshakeReceiver(Receiver);

impl DisconnectWatch for HandshakeReceiver {
    fn poll_disconnected(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let ReceiveEvent::WebSocketDisconnect(_) = ready!(self.0.poll_receive(cx)) {
                return Poll::Ready(());
            }
        }
    }
}
