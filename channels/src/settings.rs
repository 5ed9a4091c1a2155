//! The bounds of a layer.

use std::time::Duration;

/// The bounds of a channel layer. All processes that share a store need the same settings.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// The beginning of the names that the layer uses in a store, so that applications can share a store.
    /// Default: `callgate`.
    pub namespace: String,
    /// The longest name of a group in bytes. Default: 512.
    pub max_name: usize,
    /// The largest message, and the largest data of a member, in bytes. Default: 64 KiB.
    pub max_message: usize,
    /// The number of events of a group that are kept for slow subscribers and for
    /// [`subscribe_from`](crate::Group::subscribe_from), at least one. Default: 256.
    pub history_messages: usize,
    /// The largest sum of the lengths of these events, in bytes. An event that alone is longer is kept until the next.
    /// Default: 1 MiB.
    pub history_octets: usize,
    /// How long the events of a group are kept after its last event, when nobody is subscribed.
    /// Default: 5 minutes.
    pub history_time: Duration,
    /// How long a member stays after the last sign of life of its process. Default: 15 seconds.
    pub presence_timeout: Duration,
    /// How long an operation waits for the backend. Default: 2 seconds.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "callgate".to_owned(),
            max_name: 512,
            max_message: 64 * 1024,
            history_messages: 256,
            history_octets: 1024 * 1024,
            history_time: Duration::from_secs(300),
            presence_timeout: Duration::from_secs(15),
            timeout: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// Creates the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the beginning of the names that the layer uses in a store.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the longest name of a group in bytes.
    #[must_use]
    pub fn max_name(mut self, octets: usize) -> Self {
        self.max_name = octets;
        self
    }

    /// Sets the largest message in bytes.
    #[must_use]
    pub fn max_message(mut self, octets: usize) -> Self {
        self.max_message = octets;
        self
    }

    /// Sets the number of events of a group that are kept, at least one.
    #[must_use]
    pub fn history_messages(mut self, messages: usize) -> Self {
        self.history_messages = messages.max(1);
        self
    }

    /// Sets the bytes of the events of a group that are kept.
    #[must_use]
    pub fn history_octets(mut self, octets: usize) -> Self {
        self.history_octets = octets;
        self
    }

    /// Sets how long the events of a group are kept when nobody is subscribed.
    #[must_use]
    pub fn history_time(mut self, time: Duration) -> Self {
        self.history_time = time;
        self
    }

    /// Sets how long a member stays after the last sign of life of its process.
    #[must_use]
    pub fn presence_timeout(mut self, time: Duration) -> Self {
        self.presence_timeout = time;
        self
    }

    /// Sets how long an operation waits for the backend.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }
}
