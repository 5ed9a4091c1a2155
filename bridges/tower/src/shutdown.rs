//! The shutdown of the server, as a tower service sees it.

use std::future::poll_fn;

use callgate_drive::ShutdownSignal;

/// Tells a service that the server is shutting down, while its response still reaches the client. A
/// stream that has no end of its own ends then.
///
/// Each request that [`ServiceApp`](crate::ServiceApp) creates has a `Shutdown` in its extensions
/// where the server offers [`Feature::Shutdown`](callgate::Feature::Shutdown). With the feature
/// `axum`, `Shutdown` is an extractor. The shutdown begins for a service that has read the content
/// of its request, or whose request has none (rule `EXT-17`).
///
/// ```
/// use axum::{Extension, Router};
/// use axum::response::sse::{Event, Sse};
/// use axum::routing::get;
/// use callgate_tower::{ServiceApp, Shutdown};
/// use futures_util::{Stream, StreamExt as _, stream};
///
/// /// Sends events until the server shuts down.
/// async fn events(Extension(shutdown): Extension<Shutdown>) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
///     let ticks = stream::repeat(()).map(|()| Ok(Event::default().data("tick")));
///     Sse::new(ticks.take_until(shutdown.begun()))
/// }
///
/// let app = ServiceApp::new(Router::new().route("/events", get(events)));
/// # fn check(_: impl callgate::App) {}
/// # check(app);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Shutdown(pub(crate) ShutdownSignal);

impl Shutdown {
    /// Returns whether the server has begun to shut down.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.is_set()
    }

    /// Waits until the server begins to shut down.
    pub async fn begun(mut self) {
        poll_fn(|cx| self.0.poll_set(cx)).await;
    }
}
