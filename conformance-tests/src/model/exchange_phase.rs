//! The phases of an exchange, for every kind of scope.

/// Decides which error a send fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExchangePhase {
    /// The application may send.
    Open,
    /// The application has sent its last event.
    Ended,
    /// The application has broken a rule.
    Broken,
    /// The client has disconnected.
    Disconnected,
    /// The call has returned.
    Returned,
}
