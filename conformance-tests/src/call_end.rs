//! The end of an application's call.

use std::any::Any;

use callgate::AppError;
use serde::{Deserialize, Serialize};

/// The end of an application's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CallEnd {
    /// The call returned `Ok`.
    Returned,
    /// The call returned `AppError::Unsupported`.
    Declined,
    /// The call returned the error of a send to a disconnected client.
    Disconnected,
    /// The call returned another error.
    Failed,
    /// The call panicked.
    Panicked,
    /// The call was dropped before it ended.
    Dropped,
    /// The application ended its process. A recording never contains this.
    #[serde(skip)]
    ProcessEnded,
    /// The call blocked its thread and was abandoned there. A recording never contains this.
    #[serde(skip)]
    Blocked,
}

impl From<&Result<(), AppError>> for CallEnd {
    fn from(result: &Result<(), AppError>) -> Self {
        match result {
            Ok(()) => Self::Returned,
            Err(AppError::Unsupported) => Self::Declined,
            Err(error) if error.is_disconnected() => Self::Disconnected,
            Err(_) => Self::Failed,
        }
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned())
}
