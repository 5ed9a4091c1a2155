//! An application for tests that need one, and do not call it.

use callgate::{AppError, Receiver, Scope, Sender};

pub(crate) async fn never(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
    Err(AppError::Unsupported)
}
