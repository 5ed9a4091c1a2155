//! A resource that is opened at start-up and closed at shutdown.

use std::future::Future;

use callgate::{
    App, AppError, BoxApp, LifespanShutdownComplete, LifespanShutdownFailed,
    LifespanStartupComplete, LifespanStartupFailed, ReceiveEvent, Receiver, Scope, Sender, State,
};

use super::start::start;

/// Puts `app` into an application that opens a resource at start-up, such as a pool of connections, and
/// closes it at shutdown. Each exchange gets a clone of the resource in its [`State`].
///
/// - When `open` fails, the start-up fails: the server stops with the text of the error.
/// - When `app` serves lifespan itself, its start-up comes after `open` and its shutdown before `close`.
///   Exchanges get its state and the resource; of two values of the same type they get that of `app`.
/// - `close` gets a clone, and the state has another one meanwhile: the resource is closed by a call of a method,
///   and not by dropping the last clone.
/// - `close` is called once for each successful `open`, also when the start-up of `app` fails. It is not
///   called when the server is killed.
/// - When the shutdown of `app` and `close` both fail, the message has both reasons.
/// - The server shuts the lifespan down after the last exchange has ended. Responses that have no end of
///   their own end before that at [`HttpShutdown`](ReceiveEvent::HttpShutdown), as those of
///   [`respond::stream`](crate::respond::stream) and [`respond::events`](crate::respond::events) do.
///
/// Several resources take several calls: the outermost resource is opened first and closed last. A
/// resource that is not `Clone` goes into an [`Arc`](std::sync::Arc). An example is at the top of this
/// [module](super).
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
        wait_for(&mut receiver, &ReceiveEvent::LifespanStartup).await;
        let resource = match (self.open)().await.map_err(reason) {
            Ok(resource) => resource,
            Err(message) => {
                sender.send(LifespanStartupFailed::new(message)).await?;
                return Ok(());
            }
        };
        let inner = match start(self.app.clone()).await {
            Ok(inner) => inner,
            Err(message) => {
                // The failed start-up is reported; a failure of `close` follows from it.
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

        wait_for(&mut receiver, &ReceiveEvent::LifespanShutdown).await;
        let mut failures = Vec::new();
        if let Some(inner) = inner {
            failures.extend(inner.shutdown().await.err());
        }
        failures.extend((self.close)(resource).await.map_err(reason).err());
        if failures.is_empty() {
            sender.send(LifespanShutdownComplete::new()).await?;
        } else {
            let message = failures.join("; ");
            sender.send(LifespanShutdownFailed::new(message)).await?;
        }
        Ok(())
    }
}

fn reason(error: impl Into<AppError>) -> String {
    error.into().to_string()
}

/// Receives until `wanted` comes, and ignores other events (rule `CORE-18`).
async fn wait_for(receiver: &mut Receiver, wanted: &ReceiveEvent) {
    while receiver.receive().await != *wanted {}
}
