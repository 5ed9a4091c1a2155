//! The inspector of applications.

use std::sync::Arc;

use callgate::App;

use crate::bounds::Bounds;
use crate::exchange::Exchange;
use crate::inspected::Inspected;
use crate::shared::Shared;
use crate::store::Store;
use crate::subject::Subject;
use crate::watch::Watch;

/// Keeps the exchanges of applications while somebody looks. Clones share the exchanges.
///
/// - [`inspect`](Self::inspect) puts the inspector around an application.
/// - [`InspectorPage`](crate::InspectorPage) is the page, an application that is served on an address of its own.
/// - [`watch`](Self::watch) is for a program that shows exchanges itself.
///
/// While nobody looks, an exchange costs one atomic load more. Credentials are masked, as
/// [`Recorder`](callgate_conformance::Recorder) does. Targets, contents and messages are kept as they are.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_inspector::Inspector;
/// use callgate_toolkit::respond;
/// use callgate_toolkit::test_client::TestClient;
///
/// async fn hello(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::text("Hello!\n").send(&sender).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let inspector = Inspector::new();
/// let client = TestClient::new(inspector.inspect(hello));
/// let mut watch = inspector.watch();
/// client.get("/").send().await?;
///
/// let summary = &watch.next().await.summaries[0];
/// assert_eq!(summary.status, Some(200));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inspector {
    shared: Arc<Shared>,
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

impl Inspector {
    /// Creates an inspector with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        Self::with_bounds(Bounds::default())
    }

    /// Creates an inspector that keeps as much as `bounds` allow.
    #[must_use]
    pub fn with_bounds(bounds: Bounds) -> Self {
        Self {
            shared: Arc::new(Shared::new(bounds)),
        }
    }

    /// Puts the inspector around `app`. One inspector can have several applications.
    pub fn inspect<A: App>(&self, app: A) -> Inspected<A> {
        Inspected::new(app, self.shared.clone())
    }

    /// Begins to look. Exchanges that begin from now on are kept, until all who look have gone.
    ///
    /// Lifespans are always kept, because they begin before anybody can look.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.shared.clone())
    }

    /// Returns an exchange, if it is still kept.
    #[must_use]
    pub fn exchange(&self, number: u64) -> Option<Exchange> {
        self.shared.store().exchange(number)
    }

    /// Forgets all exchanges. What those that still run do is not kept.
    pub fn clear(&self) {
        self.shared.change(Store::clear);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn subject(&self, number: u64) -> Option<Arc<Subject>> {
        self.shared.store().subject(number)
    }
}
