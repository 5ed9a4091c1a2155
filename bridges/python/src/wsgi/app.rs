//! The application, on the side of the server.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use callgate::{
    App, AppError, HttpScope, LifespanShutdownComplete, LifespanStartupComplete, ReceiveEvent,
    Receiver, Scope, Sender, WebSocketClose,
};
use http::header::{CONTENT_LENGTH, EXPECT};
use pyo3::prelude::*;

use super::exchange::{Exchange, ServerSide};
use super::pool::{Parts, Pool};
use super::relay::Relay;

/// Content that is announced to be at most this long is received before a thread is taken: a slow client takes none.
const SMALL_CONTENT: u64 = 64 << 10;

/// An application of WSGI. It is called on any thread, without Python.
#[derive(Clone, Debug)]
pub(crate) struct WsgiApp(Arc<Pool>);

impl WsgiApp {
    /// Starts the threads of an application. `shows_exceptions` is as in [`Offer`](crate::asgi::Offer).
    pub(crate) fn start(py: Python<'_>, parts: Parts, shows_exceptions: bool) -> PyResult<Self> {
        Pool::start(py, parts, shows_exceptions).map(Self)
    }

    /// Ends the threads. Waits for them at most for this time, and returns the number of those that have not ended.
    pub(crate) fn close(&self, py: Python<'_>, patience: Duration) -> usize {
        self.0.close();
        py.detach(|| self.0.wait_for_end(patience))
    }
}

impl App for WsgiApp {
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        let pool = self.0.clone();
        async move {
            match scope {
                Scope::Http(scope) => http(pool, scope, receiver, sender).await,
                Scope::Lifespan(_) => lifespan(&pool, receiver, &sender).await,
                Scope::WebSocket(_) => Ok(sender.send(WebSocketClose::new(1000)).await?),
                _ => Err(AppError::Unsupported),
            }
        }
    }
}

async fn http(
    pool: Arc<Pool>,
    scope: Box<HttpScope>,
    receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let first = First::of(&scope);
    let mut side = ServerSide::new(Exchange::new(scope, pool.clone()), receiver, sender);
    if first != First::Nothing {
        poll_fn(|cx| side.poll_first(cx, first == First::Everything)).await?;
    }
    pool.push(side.exchange.clone());
    drop(pool);
    poll_fn(|cx| side.poll(cx)).await
}

/// The content that is received before a thread is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// The client waits until the application wants content.
    Nothing,
    WhatIsThere,
    Everything,
}

impl First {
    fn of(scope: &HttpScope) -> Self {
        if scope.headers.contains_key(EXPECT) {
            return Self::Nothing;
        }
        let length = scope.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        match length {
            Some(0..=SMALL_CONTENT) => Self::Everything,
            _ => Self::WhatIsThere,
        }
    }
}

/// Serves the lifespan: the threads run already, and what they serve is waited for. Meanwhile, this attends the relay.
async fn lifespan(pool: &Pool, mut receiver: Receiver, sender: &Sender) -> Result<(), AppError> {
    receiver.receive().await;
    sender.send(LifespanStartupComplete::new()).await?;
    let mut attendant = Relay::attend(pool);
    let mut is_stopping = false;
    poll_fn(|cx| {
        if let Some(attendant) = &mut attendant {
            attendant.poll(cx);
        }
        while !is_stopping {
            is_stopping = ready!(receiver.poll_receive(cx)) == ReceiveEvent::LifespanShutdown;
        }
        pool.poll_idle(cx)
    })
    .await;
    drop(attendant);
    sender.send(LifespanShutdownComplete::new()).await?;
    Ok(())
}
