//! The requests in a recording.

use bytes::BytesMut;
use callgate::{ReceiveEvent, RequestScope, Scope};
use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING, UPGRADE,
};

use super::{AppRequest, AppRequestsError, RequestKind};
use crate::record::MASKED;
use crate::replay::read_exchanges;

/// Returns the requests and WebSockets of a recording, in order. A target that is not a path, that of `OPTIONS *`, is left out.
pub(super) fn read(text: &str) -> Result<Vec<AppRequest>, AppRequestsError> {
    let exchanges = read_exchanges(text.as_bytes())?;
    let requests = exchanges.into_values().filter_map(|exchange| {
        let (scope, received) = exchange.into_request();
        request(&scope, received)
    });
    Ok(requests.collect())
}

fn request(scope: &Scope, received: impl Iterator<Item = ReceiveEvent>) -> Option<AppRequest> {
    let (request, kind) = match scope {
        Scope::Http(scope) => {
            let mut content = BytesMut::new();
            for event in received {
                if let ReceiveEvent::HttpRequestBody(body) = event {
                    content.extend_from_slice(&body.body);
                }
            }
            let kind = RequestKind::Http {
                method: scope.method.clone(),
                content: content.freeze(),
            };
            (&scope.request, kind)
        }
        Scope::WebSocket(scope) => {
            let messages = received.filter_map(|event| match event {
                ReceiveEvent::WebSocketReceive(message) => Some(message),
                _ => None,
            });
            let kind = RequestKind::WebSocket {
                subprotocols: scope.subprotocols.clone(),
                messages: messages.collect(),
            };
            (&scope.request, kind)
        }
        _ => return None,
    };
    let path = target(request);
    path.starts_with('/').then(|| AppRequest {
        path,
        headers: fields(&request.headers),
        kind,
    })
}

fn target(request: &RequestScope) -> String {
    match request.query() {
        "" => request.raw_path().to_owned(),
        query => format!("{}?{query}", request.raw_path()),
    }
}

/// Returns the fields without those of the connection, which the suite makes itself, and without masked ones.
fn fields(recorded: &HeaderMap) -> HeaderMap {
    let of_connection = [
        CONNECTION,
        CONTENT_LENGTH,
        SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    let mut fields = HeaderMap::new();
    for (name, value) in recorded {
        if !of_connection.contains(name) && value != MASKED {
            fields.append(name, value.clone());
        }
    }
    fields
}
