//! The inspector of applications.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callgate::App;
use tokio::sync::watch;

use crate::bounds::Bounds;
use crate::exchange::{Entry, Exchange, Summary};
use crate::inspected::{Inspected, Subject};
use crate::store::Store;
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

/// What clones of an inspector share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The number of those who look.
    pub(crate) watchers: AtomicUsize,
    pub(crate) bounds: Bounds,
    store: Mutex<Store>,
    /// The version of the store, for those who wait for a change.
    pub(crate) versions: watch::Sender<u64>,
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
            shared: Arc::new(Shared {
                watchers: AtomicUsize::new(0),
                bounds,
                store: Mutex::new(Store::new(bounds)),
                versions: watch::Sender::new(0),
            }),
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

impl Shared {
    /// Returns whether somebody looks.
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the store, and tells those who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store();
        let result = change(&mut store);
        self.versions.send_replace(store.version());
        result
    }

    pub(crate) fn add(&self, number: u64, entry: Entry, update: impl FnOnce(&mut Summary)) {
        self.change(|store| store.add(number, entry, update));
    }
}
