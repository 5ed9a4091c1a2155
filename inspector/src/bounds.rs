//! How much an inspector keeps.

/// How much an [`Inspector`](crate::Inspector) keeps. What is beyond a bound is left out, and said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// The number of exchanges. The oldest that have ended go first. Default 500.
    pub exchanges: usize,
    /// The octets of the content of one event, of which the beginning is kept. Default 64 KiB.
    pub content: usize,
    /// The octets of one exchange. Its beginning is kept to half of this, and its latest events to the
    /// other half. Default 1 MiB.
    pub exchange: usize,
    /// The octets of all exchanges. Default 32 MiB.
    pub total: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            exchanges: 500,
            content: 64 * 1024,
            exchange: 1024 * 1024,
            total: 32 * 1024 * 1024,
        }
    }
}

impl Bounds {
    /// Sets the number of exchanges.
    #[must_use]
    pub fn exchanges(mut self, exchanges: usize) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// Sets the octets of the content of one event.
    #[must_use]
    pub fn content(mut self, octets: usize) -> Self {
        self.content = octets;
        self
    }

    /// Sets the octets of one exchange.
    #[must_use]
    pub fn exchange(mut self, octets: usize) -> Self {
        self.exchange = octets;
        self
    }

    /// Sets the octets of all exchanges.
    #[must_use]
    pub fn total(mut self, octets: usize) -> Self {
        self.total = octets;
        self
    }
}
