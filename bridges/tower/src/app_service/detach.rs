//! Calls that go on after their response.

use std::sync::Arc;
use std::time::Duration;

use callgate::AppError;
use callgate_drive::{Call, ServerEnd};
use tokio::runtime::Handle;

/// Moves a call that has not ended to a task of its own. Without a runtime the call fails.
pub(super) fn detach(call: Call, end: Arc<impl ServerEnd>, grace_period: Duration) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(call.run(end, grace_period))),
        Err(_) => {
            let error = AppError::failed("the call cannot go on without a Tokio runtime");
            call.fail(&*end, error);
        }
    }
}
