//! WebSockets of an application's own pages.

use callgate::{App, AppError, Receiver, RequestScope, Scope, Sender};
use http::StatusCode;

use super::origin::{Origin, OriginPattern};
use super::refusal::Refusal;
use crate::respond;

/// Refuses WebSockets that pages of other sites open: with 403, before the application is called.
///
/// Browsers let every page open a WebSocket to every server, with the cookies of that server. CORS does
/// not prevent this. A server that knows its users by cookies must look at the field `origin` (RFC 6455,
/// 10.2).
///
/// - By default, the origin must be that of the server itself: the host of the field `host`, with the
///   same port. Ports that the scheme implies are equal to none. A page of `https` may connect to a
///   server that itself speaks `http`, behind a proxy; a page of `http` may not connect to `https`.
/// - [`allow`](Self::allow) allows other origins. Schemes and hosts are compared without regard to case.
/// - The origin `null`, of sandboxed frames and local files, is refused unless it is allowed. An origin
///   that is malformed or repeated is refused.
/// - A handshake without an origin is not refused: it does not come from a browser, so that it has no
///   cookies of a user.
///
/// HTTP requests pass: for these, see [`Cors`](super::Cors).
///
/// ```
/// use callgate::App;
/// use callgate_toolkit::middleware::WebSocketOrigins;
///
/// fn guarded(chat: impl App) -> impl App {
///     WebSocketOrigins::new(chat).allow("https://app.example.com")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct WebSocketOrigins<A> {
    app: A,
    allowed: Vec<OriginPattern>,
}

impl<A> WebSocketOrigins<A> {
    /// Creates an application of `app` whose WebSockets are opened by its own pages only.
    pub fn new(app: A) -> Self {
        Self {
            app,
            allowed: Vec::new(),
        }
    }

    /// Allows WebSockets of this origin as well: `https://app.example.com`, `http://localhost:3000`,
    /// `https://*.example.com` for all subdomains, or `null`.
    ///
    /// # Panics
    ///
    /// When the text is not an origin: it has a path or no scheme, for example.
    #[must_use]
    pub fn allow(mut self, origin: &str) -> Self {
        self.allowed.push(OriginPattern::new(origin));
        self
    }

    fn is_allowed(&self, request: &RequestScope) -> bool {
        match Origin::of(request) {
            Ok(None) => true,
            Ok(Some(origin)) => {
                origin.is_same_as_of(request)
                    || self.allowed.iter().any(|pattern| pattern.matches(origin))
            }
            Err(_) => false,
        }
    }
}

impl<A: App> App for WebSocketOrigins<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        if let Scope::WebSocket(handshake) = &scope
            && !self.is_allowed(handshake)
            && let Some(refusal) = Refusal::of(&scope)
        {
            let text = "Pages of this origin may not open a WebSocket here.\n";
            let response = respond::text(text).status(StatusCode::FORBIDDEN);
            return refusal.send(response, &sender).await;
        }
        self.app.call(scope, receiver, sender).await
    }
}
