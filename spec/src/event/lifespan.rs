//! The events of lifespan.

use crate::State;

/// Ready to serve: `lifespan.startup.complete`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanStartupComplete {
    /// What every later scope shares. It has no serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub state: State,
}

impl LifespanStartupComplete {
    /// Ready, with nothing to share.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ready, sharing `state`.
    #[must_use]
    pub fn with_state(state: State) -> Self {
        Self { state }
    }
}

/// Not able to serve: `lifespan.startup.failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanStartupFailed {
    /// Why, for the person who started the server.
    pub message: String,
}

impl LifespanStartupFailed {
    /// For this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Something could not be put away: `lifespan.shutdown.failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanShutdownFailed {
    /// Why, for the person who stopped the server.
    pub message: String,
}

impl LifespanShutdownFailed {
    /// For this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
