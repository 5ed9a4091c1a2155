//! Blocking functions as applications. They take the place that WSGI has beside ASGI.
//!
//! ```
//! use std::io::Read;
//! use callgate_toolkit::blocking::{Body, ThreadPool};
//! use http::{Request, Response};
//!
//! fn shout(request: Request<()>, body: &mut dyn Read) -> std::io::Result<Response<Body>> {
//!     let mut text = String::new();
//!     body.take(1024 * 1024).read_to_string(&mut text)?;
//!     let text = format!("{} {}", request.method(), text.to_uppercase());
//!     Ok(Response::new(text.into()))
//! }
//!
//! let app = ThreadPool::new(16).app(shout);
//! ```
//!
//! - The pool runs as many calls at once as it has threads. Other calls wait in order, without a thread.
//!   A call beyond [`ThreadPool::max_waiting`] calls, or one that waits for longer than
//!   [`ThreadPool::max_wait`], gets a 503 with `{"error": "..."}`.
//! - The content of the request is received when the function reads it. The next part of the response is
//!   produced when the server has taken the last.
//! - Once the client is gone, a read fails with `UnexpectedEof` and a write with `BrokenPipe`. A function
//!   that neither reads nor writes goes on, and keeps its thread until it returns.
//! - A panic fails its own call only.
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
use callgate_drive::panic_message;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

pub use self::body::Body;
pub use self::pool::ThreadPool;

use self::exchange::{CallHandle, Reader};
use crate::respond;

impl ThreadPool {
    /// Returns an application for HTTP whose calls run `handler` on the threads of this pool.
    ///
    /// The request has the extensions of the scope, and among them the [`HttpScope`] itself with the
    /// state, the addresses and the root path. The handler returns an [`http::Response`], or a `Result`
    /// with one.
    pub fn app<F, R>(&self, handler: F) -> BlockingApp<F, R>
    where
        F: Fn(Request<()>, &mut dyn Read) -> R + Send + Sync + 'static,
        R: IntoResponse + 'static,
    {
        BlockingApp {
            pool: self.clone(),
            handler: Arc::new(handler),
            output: PhantomData,
        }
    }
}

/// The output of a blocking function: a response, or a `Result` with one.
pub trait IntoResponse {
    /// Returns the response.
    ///
    /// # Errors
    ///
    /// The error of the function.
    fn into_response(self) -> Result<Response<Body>, AppError>;
}

impl<B: Into<Body>> IntoResponse for Response<B> {
    fn into_response(self) -> Result<Response<Body>, AppError> {
        Ok(self.map(Into::into))
    }
}

impl<B: Into<Body>, E: Into<AppError>> IntoResponse for Result<Response<B>, E> {
    fn into_response(self) -> Result<Response<Body>, AppError> {
        self.map(|response| response.map(Into::into))
            .map_err(Into::into)
    }
}

/// A blocking function as an application: created by [`ThreadPool::app`].
pub struct BlockingApp<F, R> {
    pool: ThreadPool,
    handler: Arc<F>,
    output: PhantomData<fn() -> R>,
}

impl<F, R> fmt::Debug for BlockingApp<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingApp").field(&self.pool).finish()
    }
}

impl<F, R> App for BlockingApp<F, R>
where
    F: Fn(Request<()>, &mut dyn Read) -> R + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        let Some(permit) = self.pool.acquire().await else {
            // The response has the form of those in `errors`.
            let reason = "too many requests wait to be served";
            respond::bytes(format!(r#"{{"error":"{reason}"}}"#))
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .send(&sender)
                .await?;
            return Err(AppError::failed(reason));
        };
        let handler = self.handler.clone();
        let (done, result) = oneshot::channel();
        // The sender is dropped with this future, which closes the receiver.
        let (_future, call) = watch::channel(());
        let mut handle = CallHandle {
            runtime: Handle::current(),
            call,
        };
        let running = self.pool.run(Box::new(move || {
            let serving = || {
                let mut reader = Reader::new(&mut handle, receiver);
                let response = handler(request(scope), &mut reader).into_response()?;
                exchange::send(&mut handle, &sender, response)
            };
            let result = catch_unwind(AssertUnwindSafe(serving)).unwrap_or_else(|panic| {
                let message = panic_message(&*panic);
                Err(AppError::failed(format!("the handler panicked: {message}")))
            });
            // The thread is free for the next call before this call returns.
            drop(permit);
            let _ = done.send(result);
        }));
        running.map_err(|error| AppError::failed(format!("no thread for the call: {error}")))?;
        result
            .await
            .unwrap_or_else(|_| Err(AppError::failed("the thread of the call has ended")))
    }
}

fn request(scope: Box<HttpScope>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = scope.method.clone();
    *request.uri_mut() = scope.uri.clone();
    *request.version_mut() = scope.version;
    *request.headers_mut() = scope.headers.clone();
    *request.extensions_mut() = scope.extensions.clone();
    request.extensions_mut().insert(*scope);
    request
}
