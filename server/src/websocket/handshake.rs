//! The handshake over either version: an HTTP request that the application turns into a WebSocket,
//! or refuses.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callgate::{HttpResponseStart, WebSocketAccept, WebSocketScope};
use callgate_drive::timer::LONGEST;
use callgate_drive::websocket::{
    self as drive, DeflateParameters, HandshakeResponse, accept_key, response_head,
};
use callgate_drive::{ResponseBody, replacement};
use http::Version;
use http::header::HeaderValue;
use tokio::time::sleep;
use tracing::Span;

use super::session::{AcceptedWebSocket, CallDetacher};
use crate::concurrency::{Admission, Permit, Place, Waiting};
use crate::connection::ConnectionInfo;
use crate::context::ServerContext;
use crate::limit::Limit;
use crate::registry::OpenConnection;
use crate::rejection::Rejection;
use crate::stage::Stage;

/// A handshake without a response.
pub(crate) struct Handshake {
    progress: Progress,
    server: Arc<ServerContext>,
    open: Arc<OpenConnection>,
    client: Option<SocketAddr>,
    version: Version,
    /// The value of `sec-websocket-accept`, which only HTTP/1.1 has.
    accept_key: Option<HeaderValue>,
    /// The parameters of permessage-deflate, if an offer of the client is accepted.
    deflate: Option<DeflateParameters>,
    /// The place among the open WebSockets, if they are counted.
    place: Option<Permit>,
}

#[derive(Debug)]
enum Progress {
    /// The handshake waits until other exchanges have ended. `None` once that is over.
    Queued(Waiting, Option<Box<WebSocketScope>>, Span),
    /// The application has been called.
    Called(CalledHandshake),
    /// The application is not called. `None` once the response has been returned.
    Refused(Option<Box<Rejection>>),
}

/// A handshake for which the application has been called.
struct CalledHandshake {
    inner: drive::Handshake,
    /// Counts the handshake as an exchange in flight until it is answered.
    permit: Option<Permit>,
    /// Completes when the handshake is refused although the application has not responded; `None` after
    /// that.
    interrupted: Option<Pin<Box<dyn Future<Output = Interruption> + Send>>>,
}

/// Why a handshake is refused although the application has not responded.
enum Interruption {
    Shutdown,
    TimeOut,
}

/// The response to a handshake.
#[derive(Debug)]
pub(crate) enum Response {
    /// The head of the response that opens the WebSocket.
    Accepted(HttpResponseStart, AcceptedWebSocket),
    /// A response that refuses the WebSocket.
    Refused(HttpResponseStart, ResponseBody),
}

impl Handshake {
    // Not inlined, because it would enlarge the stack of every request.
    #[inline(never)]
    pub(crate) fn new(
        mut scope: Box<WebSocketScope>,
        connection: &ConnectionInfo,
        span: Span,
    ) -> Box<Self> {
        let server = &connection.server;
        let accept_key = accept_key(&scope.headers);
        let setting = server.config.websocket.per_message_deflate;
        let deflate = DeflateParameters::negotiate(&mut scope, setting);
        let client = connection.client;
        let version = scope.version;
        let (place, progress) = match server.websockets.take() {
            Place::Free(place) => (place, Progress::admitted(scope, server, client, span)),
            Place::None => (None, Progress::refused(server.refuse_websocket(client))),
        };
        Box::new(Self {
            progress,
            server: server.clone(),
            open: connection.open.clone(),
            client,
            version,
            accept_key,
            deflate,
            place,
        })
    }

    /// Polls the application, and returns the response. The handshake must not be polled again after
    /// that.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Response> {
        let response = match ready!(self.progress.poll(cx, &self.server, self.client)) {
            HandshakeResponse::Accept(accept) => self.accept(accept),
            HandshakeResponse::Refuse(status) => {
                let (head, body) = replacement(status);
                Response::Refused(head, body)
            }
            HandshakeResponse::Deny(head, body) => Response::Refused(head, body),
        };
        self.detach();
        Poll::Ready(response)
    }

    fn accept(&mut self, accept: WebSocketAccept) -> Response {
        let Progress::Called(called) = &mut self.progress else {
            unreachable!("only the application accepts");
        };
        let place = self.place.take();
        let detacher = CallDetacher::new(self.server.clone(), self.open.clone(), place);
        let websocket = AcceptedWebSocket::new(called.inner.open(), detacher).deflate(self.deflate);
        let extensions = self.deflate.map(|parameters| parameters.header_value());
        let head = response_head(accept, self.version, self.accept_key.take(), extensions);
        Response::Accepted(head, websocket)
    }

    /// Moves a call that has not ended to a task of its own.
    fn detach(&mut self) {
        if let Progress::Called(called) = &mut self.progress
            && let Some((call, mailbox)) = called.inner.detach()
        {
            self.server.detach(call, mailbox);
        }
    }
}

impl Progress {
    fn admitted(
        scope: Box<WebSocketScope>,
        server: &ServerContext,
        client: Option<SocketAddr>,
        span: Span,
    ) -> Self {
        match server.concurrency.admit() {
            Admission::Admitted(permit) => {
                Self::Called(CalledHandshake::new(scope, server, permit, &span))
            }
            Admission::Queued(waiting) => Self::Queued(waiting, Some(scope), span),
            Admission::Refused => Self::refused(server.refuse(client)),
        }
    }

    fn refused(rejection: Rejection) -> Self {
        Self::Refused(Some(Box::new(rejection)))
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        server: &ServerContext,
        client: Option<SocketAddr>,
    ) -> Poll<HandshakeResponse> {
        loop {
            match self {
                Self::Called(called) => return called.poll(cx, server),
                Self::Queued(waiting, scope, span) => {
                    let permit = ready!(waiting.poll(cx));
                    let scope = scope.take().expect("not polled after it was ready");
                    *self = match permit {
                        None => Self::refused(server.refuse(client)),
                        permit => Self::Called(CalledHandshake::new(scope, server, permit, span)),
                    };
                }
                Self::Refused(rejection) => {
                    let rejection = rejection.take().expect("not polled after its response");
                    let (head, body) = rejection.into_response();
                    return Poll::Ready(HandshakeResponse::Deny(head, body));
                }
            }
        }
    }
}

impl CalledHandshake {
    fn new(
        scope: Box<WebSocketScope>,
        server: &ServerContext,
        permit: Option<Permit>,
        span: &Span,
    ) -> Self {
        let stages = server.stages.clone();
        let limit = server.config.timeouts.websocket_handshake;
        let limit = limit.map_or(LONGEST, |limit| limit.min(LONGEST));
        let mut inner = drive::Handshake::new(&server.app, scope);
        if !span.is_disabled() {
            inner.instrument(span);
        }
        inner.set_queue_capacity(server.config.websocket.max_queue.get());
        Self {
            inner,
            permit,
            interrupted: Some(Box::pin(async move {
                tokio::select! {
                    biased;
                    () = stages.reached(Stage::Draining) => Interruption::Shutdown,
                    () = sleep(limit) => Interruption::TimeOut,
                }
            })),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, server: &ServerContext) -> Poll<HandshakeResponse> {
        let mut response = self.inner.poll(cx);
        if response.is_pending()
            && let Some(interrupted) = &mut self.interrupted
            && let Poll::Ready(interruption) = interrupted.as_mut().poll(cx)
        {
            self.interrupted = None;
            match interruption {
                Interruption::Shutdown => self.inner.refuse_at_shutdown(),
                Interruption::TimeOut => {
                    server.limits.reached(Limit::WebSocketHandshakeTime);
                    self.inner.time_out();
                }
            }
            response = self.inner.poll(cx);
        }
        if response.is_ready() {
            self.permit = None;
        }
        response
    }
}

impl fmt::Debug for CalledHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CalledHandshake").field(&self.inner).finish()
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Drop for Handshake {
    /// A handshake is dropped without a response when the client is gone.
    fn drop(&mut self) {
        self.detach();
    }
}
