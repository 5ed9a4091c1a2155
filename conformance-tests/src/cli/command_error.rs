//! The error that ends a command.

use callgate_cli::{STARTUP, USAGE};

/// The error of a command that did not run to its end.
#[derive(Debug)]
pub(super) struct CommandError {
    pub(super) exit_status: u8,
    /// One line.
    pub(super) message: String,
}

impl CommandError {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit_status: USAGE,
            message: message.into(),
        }
    }

    pub(super) fn startup(message: impl Into<String>) -> Self {
        Self {
            exit_status: STARTUP,
            message: message.into(),
        }
    }
}
