//! How far an exchange has come, whatever its kind.

/// What decides which error a send fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The application may send.
    Open,
    /// It has sent its last event.
    Ended,
    /// It has broken a rule.
    Broken,
    /// The client is gone.
    Gone,
    /// The call has returned.
    Returned,
}
