//! The channel layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::Backend;
use crate::memory::MemoryBackend;
use crate::metrics::Counters;
use crate::{Error, Health, MemberId, Metrics, Settings};

/// A channel layer: groups, presence and direct messages, over one [`Backend`].
///
/// A clone is the same layer. An application opens one layer when it starts, keeps it in its state, and
/// [closes](Self::close) it at the end.
///
/// ```
/// use callgate_channels::{ChannelLayer, GroupEvent};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), callgate_channels::Error> {
/// let layer = ChannelLayer::connect("memory").await?;
/// let room = layer.group("room:7");
///
/// let mut subscription = room.subscribe().await?;
/// room.publish("Hello").await?;
/// match subscription.next().await {
///     Some(GroupEvent::Message(message)) => assert_eq!(message.payload.as_text(), Some("Hello")),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ChannelLayer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    backend: Arc<dyn Backend>,
    counters: Counters,
    /// A part of the IDs of all members of this process.
    process: String,
    next_member: AtomicU64,
}

impl ChannelLayer {
    /// Creates a layer in the memory of this process, with the default settings.
    #[must_use]
    pub fn memory() -> Self {
        Self::with_backend(Arc::new(MemoryBackend::new(Settings::default())))
    }

    /// Creates a layer over a backend.
    #[must_use]
    pub fn with_backend(backend: Arc<dyn Backend>) -> Self {
        Self {
            shared: Arc::new(Shared {
                backend,
                counters: Counters::default(),
                process: crate::random::random_hex(),
                next_member: AtomicU64::new(1),
            }),
        }
    }

    /// Creates the layer that a URL names, with the default settings: `memory`, or with the cargo feature
    /// `redis` a URL such as `redis://127.0.0.1:6379`, of which the [chapter](crate::documents::channels) has all forms.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`]; [`Error::Unreachable`] if the backend cannot be reached.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(url, Settings::default()).await
    }

    /// Creates the layer that a URL names, as [`connect`](Self::connect) does.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_with(url: &str, settings: Settings) -> Result<Self, Error> {
        if url == "memory" {
            return Ok(Self::with_backend(Arc::new(MemoryBackend::new(settings))));
        }
        #[cfg(feature = "redis")]
        if crate::redis::is_redis_url(url) {
            let backend = crate::RedisBackend::connect(url, settings).await?;
            return Ok(Self::with_backend(Arc::new(backend)));
        }
        let choice = if cfg!(feature = "redis") {
            "memory, redis://HOST:PORT, rediss://HOST:PORT, unix:///PATH, \
             redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT"
        } else {
            "memory; this program was built without Redis, the feature `redis`"
        };
        Err(Error::InvalidUrl {
            reason: format!("there is no such channel layer (choose {choice})"),
        })
    }

    /// Returns the name of the kind of backend, such as `memory`.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        self.backend().name()
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.backend().settings()
    }

    /// Returns whether the backend can be reached, without asking it.
    #[must_use]
    pub fn health(&self) -> Health {
        self.backend().health()
    }

    /// Returns the numbers of this layer in this process.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.counters().snapshot(self.backend().reconnects())
    }

    /// Closes the layer in this process: its members leave, its subscriptions end after the events that they
    /// have received, and every operation fails with [`Error::Closed`].
    pub async fn close(&self) {
        self.backend().close().await;
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.shared.backend
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Returns an ID that no other member has.
    pub(crate) fn new_member_id(&self) -> MemberId {
        let number = self.shared.next_member.fetch_add(1, Ordering::Relaxed);
        MemberId::of_process(&self.shared.process, number)
    }
}
