//! The health of a layer.

use std::time::SystemTime;

/// Whether a layer can reach its backend.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Health {
    /// The backend is reached.
    Ready,
    /// The backend cannot be reached, and the layer goes on to connect.
    Unreachable {
        /// Since when.
        since: SystemTime,
        /// What cannot be reached, and why.
        reason: String,
    },
    /// The layer is closed.
    Closed,
}

impl Health {
    /// Returns whether the backend is reached.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// Returns why the backend is not reached, as the error of a readiness check.
    ///
    /// # Errors
    ///
    /// What cannot be reached, and why; that the layer is closed.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Ready => Ok(()),
            Self::Unreachable { reason, .. } => Err(format!("cannot reach {reason}")),
            Self::Closed => Err(crate::Error::Closed.to_string()),
        }
    }
}
