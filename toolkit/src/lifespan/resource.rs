//! An application with something that is opened at start-up and closed at shutdown.

use std::future::Future;

use callgate::{
    App, AppError, BoxApp, LifespanShutdownFailed, LifespanStartupComplete, LifespanStartupFailed,
    ReceiveEvent, Receiver, Scope, SendEvent, Sender, State,
};

use super::Started;

/// `app`, with something that is opened at start-up, shared by every exchange as a value in its
/// [`State`], and closed at shutdown: a pool of connections, say.
///
/// - An `open` that fails is a start-up that fails: the server stops with the text of its error.
/// - The lifespan of `app` itself, if it serves one, is run inside: its start-up comes after
///   `open`, its shutdown before `close`, and its state is handed over with the resource. Where
///   both have a value of the same type, exchanges see that of `app`.
/// - `close` is called once for each `open`, also when the start-up of `app` fails, but not when
///   the server is killed. When both `app` and `close` fail to stop, the message has both reasons.
///
/// For several resources call it several times: the outermost is opened first and closed last. What
/// is not `Clone` goes into an [`Arc`](std::sync::Arc).
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::{lifespan, respond};
///
/// #[derive(Clone)]
/// struct Pool(&'static str);
///
/// async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     let Scope::Http(scope) = scope else {
///         return Err(AppError::Unsupported);
///     };
///     let pool = scope.state.get::<Pool>().ok_or_else(|| AppError::failed("no pool"))?;
///     respond::text(pool.0).send(&sender).await?;
///     Ok(())
/// }
///
/// async fn open() -> Result<Pool, AppError> {
///     Ok(Pool("sqlite::memory:"))
/// }
///
/// async fn close(pool: Pool) -> Result<(), AppError> {
///     drop(pool);
///     Ok(())
/// }
///
/// let app = lifespan::with_resource(app, open, close);
/// ```
pub fn with_resource<T, Open, Opening, OpenError, Close, Closing, CloseError>(
    app: impl App,
    open: Open,
    close: Close,
) -> impl App
where
    T: Clone + Send + Sync + 'static,
    Open: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = Result<T, OpenError>> + Send,
    OpenError: Into<AppError>,
    Close: Fn(T) -> Closing + Send + Sync + 'static,
    Closing: Future<Output = Result<(), CloseError>> + Send,
    CloseError: Into<AppError>,
{
    WithResource {
        app: BoxApp::new(app),
        open,
        close,
    }
}

struct WithResource<Open, Close> {
    app: BoxApp,
    open: Open,
    close: Close,
}

impl<T, Open, Opening, OpenError, Close, Closing, CloseError> App for WithResource<Open, Close>
where
    T: Clone + Send + Sync + 'static,
    Open: Fn() -> Opening + Send + Sync + 'static,
    Opening: Future<Output = Result<T, OpenError>> + Send,
    OpenError: Into<AppError>,
    Close: Fn(T) -> Closing + Send + Sync + 'static,
    Closing: Future<Output = Result<(), CloseError>> + Send,
    CloseError: Into<AppError>,
{
    async fn call(
        &self,
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let Scope::Lifespan(_) = scope else {
            return self.app.call(scope, receiver, sender).await;
        };
        until(&mut receiver, &ReceiveEvent::LifespanStartup).await;
        let resource = match (self.open)().await.map_err(reason) {
            Ok(resource) => resource,
            Err(message) => {
                sender.send(LifespanStartupFailed::new(message)).await?;
                return Ok(());
            }
        };
        let inner = match Started::start(self.app.clone()).await {
            Ok(inner) => inner,
            Err(message) => {
                // That it could not start is what its user has to know.
                let _ = (self.close)(resource).await.map_err(reason);
                sender.send(LifespanStartupFailed::new(message)).await?;
                return Ok(());
            }
        };
        let mut state = State::new();
        state.insert(resource.clone());
        if let Some(inner) = &inner {
            state.extend(inner.state());
        }
        sender
            .send(LifespanStartupComplete::with_state(state))
            .await?;

        until(&mut receiver, &ReceiveEvent::LifespanShutdown).await;
        let mut failures = Vec::new();
        if let Some(inner) = inner {
            failures.extend(inner.shut_down().await.err());
        }
        failures.extend((self.close)(resource).await.map_err(reason).err());
        let answer = if failures.is_empty() {
            SendEvent::LifespanShutdownComplete(LifespanShutdownComplete::new())
        } else {
            LifespanShutdownFailed::new(failures.join("; ")).into()
        };
        sender.send(answer).await?;
        Ok(())
    }
}

fn reason(error: impl Into<AppError>) -> String {
    error.into().to_string()
}

/// Receives until `wanted` comes (rule `CORE-18`).
async fn until(receiver: &mut Receiver, wanted: &ReceiveEvent) {
    while receiver.receive().await != *wanted {}
}
