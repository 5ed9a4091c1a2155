//! The events of lifespan.

use crate::State;

/// The application is ready to serve: `lifespan.startup.complete`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanStartupComplete {
    /// The state that every later scope shares. The state has no serialised form.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub state: State,
}

impl LifespanStartupComplete {
    /// Creates the event with an empty state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the event with the state that every later scope shares.
    #[must_use]
    pub fn with_state(state: State) -> Self {
        Self { state }
    }
}

/// The application cannot serve: `lifespan.startup.failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanStartupFailed {
    /// The reason, for the person who started the server.
    pub message: String,
}

impl LifespanStartupFailed {
    /// Creates the event with this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// The application has released its resources: `lifespan.shutdown.complete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanShutdownComplete {}

impl LifespanShutdownComplete {
    /// Creates the event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The application could not release its resources: `lifespan.shutdown.failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
#[non_exhaustive]
pub struct LifespanShutdownFailed {
    /// The reason, for the person who stopped the server.
    pub message: String,
}

impl LifespanShutdownFailed {
    /// Creates the event with this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}
