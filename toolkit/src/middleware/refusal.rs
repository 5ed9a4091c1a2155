//! Responses in place of those of an application.

use callgate::{AppError, Feature, Scope, Sender, WebSocketClose};

use crate::response::Response;

/// The way to respond to an exchange in place of the application.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Http,
    WebSocket { offers_denial: bool },
}

impl Refusal {
    /// Returns the way to refuse an exchange with this scope; `None` where nothing can be refused, as for
    /// lifespan.
    pub(crate) fn of(scope: &Scope) -> Option<Self> {
        match scope {
            Scope::Http(_) => Some(Self::Http),
            Scope::WebSocket(scope) => Some(Self::WebSocket {
                offers_denial: scope.features.contains(Feature::DenialResponse),
            }),
            _ => None,
        }
    }

    /// Responds to a request with this response. Refuses the handshake of a WebSocket with it where the
    /// server offers that, and with a 403 where it does not (rules `EXT-01` and `WS-05`).
    pub(crate) async fn send(self, response: Response, sender: &Sender) -> Result<(), AppError> {
        match self {
            Self::Http => response.send(sender).await,
            Self::WebSocket {
                offers_denial: true,
            } => response.deny(sender).await,
            Self::WebSocket {
                offers_denial: false,
            } => Ok(sender.send(WebSocketClose::default()).await?),
        }
    }
}
