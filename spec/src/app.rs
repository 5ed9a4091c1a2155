use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{AppError, Receiver, Scope, Sender};

/// An application, which serves each exchange with one asynchronous call.
///
/// The server calls the application once for each HTTP request, once for each WebSocket handshake
/// and once for the lifespan of the server. The [`Scope`] states the kind of the exchange. An
/// application that does not serve a kind of scope returns [`AppError::Unsupported`] (rule
/// `CORE-02`).
///
/// This trait is implemented for every `Fn(Scope, Receiver, Sender) -> impl Future`, which includes
/// every matching `async fn`. The trait is also implemented for [`Arc`] of an application and for
/// [`BoxApp`].
///
/// ```
/// use callgate::{App, AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
///
/// struct Greeter {
///     name: String,
/// }
///
/// impl App for Greeter {
///     async fn call(&self, scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///         scope.into_http()?;
///         sender.send(HttpResponseStart::ok()).await?;
///         sender.send(HttpResponseBody::last(format!("Hello, {}!\n", self.name))).await?;
///         Ok(())
///     }
/// }
/// ```
pub trait App: Send + Sync + 'static {
    /// Serves one exchange, from its first event to its last.
    ///
    /// # Errors
    ///
    /// [`AppError::Unsupported`] declines this kind of scope. An error for which
    /// [`AppError::is_disconnected`] returns true is not a failure. Any other error is a failure,
    /// which the server reports.
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send;
}

impl<F, Fut> App for F
where
    F: Fn(Scope, Receiver, Sender) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), AppError>> + Send,
{
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        self(scope, receiver, sender)
    }
}

impl<A: App> App for Arc<A> {
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        A::call(self, scope, receiver, sender)
    }
}

/// The future of one call of a [`BoxApp`]. The future owns its data, so it can move to another
/// task.
pub type AppFuture = Pin<Box<dyn Future<Output = Result<(), AppError>> + Send>>;

/// A type-erased application. Clones share one application.
///
/// ```
/// use callgate::{AppError, BoxApp, Receiver, Scope, Sender};
///
/// async fn never(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
///     Err(AppError::Unsupported)
/// }
/// let apps: Vec<BoxApp> = vec![BoxApp::new(never), BoxApp::new(never)];
/// ```
#[derive(Clone)]
pub struct BoxApp(Arc<dyn ErasedApp>);

impl BoxApp {
    /// Creates a type-erased application from `app`. A `BoxApp` is returned unchanged, without a
    /// second layer.
    pub fn new(app: impl App) -> Self {
        let mut app = Some(app);
        let boxed = (&mut app as &mut dyn Any).downcast_mut::<Option<Self>>();
        if let Some(boxed) = boxed.and_then(Option::take) {
            return boxed;
        }
        Self(Arc::new(app.expect("taken only if it is a `BoxApp`")))
    }

    /// Calls the application. The complete future takes one allocation.
    #[must_use]
    pub fn call_boxed(&self, scope: Scope, receiver: Receiver, sender: Sender) -> AppFuture {
        Arc::clone(&self.0).call_erased(scope, receiver, sender)
    }
}

impl App for BoxApp {
    fn call(
        &self,
        scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> impl Future<Output = Result<(), AppError>> + Send {
        self.call_boxed(scope, receiver, sender)
    }
}

impl fmt::Debug for BoxApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxApp")
    }
}

/// The object-safe form of [`App`].
trait ErasedApp: Send + Sync {
    fn call_erased(self: Arc<Self>, scope: Scope, receiver: Receiver, sender: Sender) -> AppFuture;
}

impl<A: App> ErasedApp for A {
    fn call_erased(self: Arc<Self>, scope: Scope, receiver: Receiver, sender: Sender) -> AppFuture {
        // The future is large, but only a small part of it is initialised at the beginning. The
        // future is written directly into its allocation, which avoids a copy.
        let place = Box::new_uninit();
        let future = Box::write(
            place,
            async move { self.call(scope, receiver, sender).await },
        );
        Box::into_pin(future)
    }
}
