//! Plain blocking functions as applications: what WSGI is to ASGI.
//!
//! ```
//! use std::io::Read;
//! use callgate_toolkit::blocking::{Body, Pool};
//! use http::{Request, Response};
//!
//! fn shout(request: Request<()>, body: &mut dyn Read) -> std::io::Result<Response<Body>> {
//!     let mut text = String::new();
//!     body.take(1024 * 1024).read_to_string(&mut text)?;
//!     let text = format!("{} {}", request.method(), text.to_uppercase());
//!     Ok(Response::new(text.into()))
//! }
//!
//! let app = Pool::new(16).app(shout);
//! ```
//!
//! - At most so many calls run at once as the pool has threads; others wait without a thread, and
//!   in turn. More than [`Pool::max_waiting`], and those that wait for longer than
//!   [`Pool::max_wait`], are answered with 503 and `{"error": "..."}`.
//! - Nothing of the request is read before the function reads it, and nothing more of the response
//!   is asked for before the transport has taken the last.
//! - Once the client is gone, a read is an error of kind `UnexpectedEof` and a write one of kind
//!   `BrokenPipe`. A function that does neither goes on; its thread is free when it returns.
//! - A panic is a failure of its call and of nothing else.
//! - A server that shuts down waits for the functions that run (rule `HTTP-36`).

mod body;
mod exchange;
mod pool;

use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

pub use self::body::Body;
pub use self::pool::Pool;

use self::exchange::{Reader, Waiter};
use crate::call::panic_message;
use crate::respond;

impl Pool {
    /// An application of `handler`, whose calls run on this pool's threads: HTTP only.
    ///
    /// The request has the whole [`HttpScope`] among its features: the state, the addresses, the
    /// root path. The handler returns an [`http::Response`], or a `Result` with one.
    pub fn app<F, R>(&self, handler: F) -> Blocking<F, R>
    where
        F: Fn(Request<()>, &mut dyn Read) -> R + Send + Sync + 'static,
        R: Answer + 'static,
    {
        Blocking {
            pool: self.clone(),
            handler: Arc::new(handler),
            answer: PhantomData,
        }
    }
}

/// What a handler returns.
pub trait Answer {
    /// The response, or why there is none.
    ///
    /// # Errors
    ///
    /// The failure of the handler.
    fn answer(self) -> Result<Response<Body>, AppError>;
}

impl<B: Into<Body>> Answer for Response<B> {
    fn answer(self) -> Result<Response<Body>, AppError> {
        Ok(self.map(Into::into))
    }
}

impl<B: Into<Body>, E: Into<AppError>> Answer for Result<Response<B>, E> {
    fn answer(self) -> Result<Response<Body>, AppError> {
        self.map(|response| response.map(Into::into))
            .map_err(Into::into)
    }
}

/// A blocking function as an application: made by [`Pool::app`].
pub struct Blocking<F, R> {
    pool: Pool,
    handler: Arc<F>,
    answer: PhantomData<fn() -> R>,
}

impl<F, R> fmt::Debug for Blocking<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocking").field(&self.pool).finish()
    }
}

impl<F, R> App for Blocking<F, R>
where
    F: Fn(Request<()>, &mut dyn Read) -> R + Send + Sync + 'static,
    R: Answer + 'static,
{
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let Scope::Http(scope) = scope else {
            return Err(AppError::Unsupported);
        };
        let Some(turn) = self.pool.turn().await else {
            // As `errors` answers and reports a failure.
            let reason = "too many requests wait to be served";
            let busy = respond::bytes(format!(r#"{{"error":"{reason}"}}"#))
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            busy.send(&sender).await?;
            return Err(AppError::failed(reason));
        };
        let handler = self.handler.clone();
        let (done, result) = oneshot::channel();
        // Dropped with this future.
        let (_call, call) = watch::channel(());
        let mut waiter = Waiter {
            runtime: Handle::current(),
            call,
        };
        let running = self.pool.run(Box::new(move || {
            let serving = || {
                let mut reader = Reader::new(&mut waiter, receiver);
                let response = handler(request(*scope), &mut reader).answer()?;
                exchange::send(&mut waiter, &sender, response)
            };
            let result = catch_unwind(AssertUnwindSafe(serving)).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Err(AppError::failed(format!("the handler panicked: {message}")))
            });
            // The next call may begin before this one is told that it has ended.
            drop(turn);
            let _ = done.send(result);
        }));
        running.map_err(|error| AppError::failed(format!("no thread for the call: {error}")))?;
        result
            .await
            .unwrap_or_else(|_| Err(AppError::failed("the thread of the call has ended")))
    }
}

fn request(scope: HttpScope) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = scope.method.clone();
    *request.uri_mut() = scope.uri.clone();
    *request.version_mut() = scope.version;
    *request.headers_mut() = scope.headers.clone();
    request.extensions_mut().insert(scope);
    request
}
