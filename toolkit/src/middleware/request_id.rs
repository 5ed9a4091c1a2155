//! Identifiers of requests.

use std::fmt;
use std::sync::Arc;

use callgate::{App, AppError, Receiver, RequestScope, Scope, SendEvent, Sender};
use http::header::{HeaderName, HeaderValue};

use super::host::single_field;
use super::tap;
use crate::random::random_hex;

/// The field that carries the identifier of a request.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The largest identifier that is taken from a request, in bytes.
const MAX_LENGTH: usize = 128;

/// The identifier of a request, in the extensions of its scope: put there by [`SetRequestId`].
///
/// The identifier has letters, digits and `-._~+/=:@` only, and at most 128 bytes: it can be written to
/// a log as it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Returns the identifier that a request came with; `None` where the request has none, has several,
    /// or has a value that must not be written to a log.
    fn received(request: &RequestScope) -> Option<Self> {
        let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(&byte);
        let id = single_field(&request.headers, X_REQUEST_ID).ok()??;
        let fits = (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(is_sane);
        fits.then(|| Self(id.into()))
    }

    /// Creates an identifier of 128 random bits.
    fn random() -> Self {
        Self(random_hex().into())
    }

    /// Returns the identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&self.0).finish()
    }
}

/// Gives each request and each WebSocket an identifier, by which the logs of several services can be
/// joined.
///
/// - The identifier of the field `x-request-id` is kept when it is sane (see [`RequestId`]). Any other
///   request gets a new one.
/// - The application finds the identifier in `scope.extensions`, and in the field `x-request-id` of the
///   request.
/// - The response has it in `x-request-id`, in place of a value that the application has set; so has the
///   response to a WebSocket's handshake.
///
/// A response that the server sends in place of a failed application has no identifier, unless
/// [`errors::handle`](crate::errors::handle) is around the application inside this middleware.
///
/// ```
/// use callgate::{App, AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::middleware::{RequestId, SetRequestId};
/// use callgate_toolkit::respond;
///
/// async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     let scope = scope.into_http()?;
///     if let Some(id) = scope.extensions.get::<RequestId>() {
///         println!("{id}: {}", scope.uri);
///     }
///     respond::text("Hello!\n").send(&sender).await
/// }
///
/// fn app() -> impl App {
///     SetRequestId::new(hello)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SetRequestId<A> {
    app: A,
    ignores_received: bool,
}

impl<A> SetRequestId<A> {
    /// Creates an application of `app` whose requests have identifiers.
    pub fn new(app: A) -> Self {
        Self {
            app,
            ignores_received: false,
        }
    }

    /// Gives every request a new identifier. This is for a server that clients reach without a trusted
    /// proxy: a client could otherwise send the identifier of another request.
    #[must_use]
    pub fn ignore_received(mut self) -> Self {
        self.ignores_received = true;
        self
    }

    fn id_of(&self, request: &RequestScope) -> RequestId {
        let received = match self.ignores_received {
            true => None,
            false => RequestId::received(request),
        };
        received.unwrap_or_else(RequestId::random)
    }
}

impl<A: App> App for SetRequestId<A> {
    async fn call(
        &self,
        mut scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let Some(request) = scope.request_mut() else {
            return self.app.call(scope, receiver, sender).await;
        };
        let id = self.id_of(request);
        let value = HeaderValue::try_from(id.as_str()).expect("visible ASCII");
        request.headers.insert(X_REQUEST_ID, value.clone());
        request.extensions.insert(id);
        let (receiver, sender) = tap(receiver, sender, move |event: &mut SendEvent| {
            let headers = match event {
                SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
                    &mut start.headers
                }
                SendEvent::WebSocketAccept(accept) => &mut accept.headers,
                _ => return,
            };
            headers.insert(X_REQUEST_ID, value.clone());
        });
        self.app.call(scope, receiver, sender).await
    }
}
