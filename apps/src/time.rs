//! The local date and time as JSON.

use callgate::{AppError, BoxApp, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use jiff::Zoned;
use serde::Serialize;

use crate::{Entry, Group, method};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "time",
    group: Group::Protocol,
    summary: "Tells the month, the day and the time of where the server is, as JSON.",
    try_it: &["curl {http}"],
    app: |_| BoxApp::new(time),
};

#[derive(Serialize)]
struct Now {
    month: i8,
    day: i8,
    time: String,
}

/// Tells the time.
///
/// # Errors
///
/// [`AppError::Unsupported`] for anything but HTTP; a failed send.
pub async fn time(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Http(scope) = scope else {
        return Err(AppError::Unsupported);
    };
    if !method::is_read(&scope.method) {
        return method::not_allowed(&scope, &sender).await;
    }
    let now = Zoned::now();
    let now = Now {
        month: now.month(),
        day: now.day(),
        time: format!("{:.6}", now.time()),
    };
    let response = respond::json(&now)?.header("cache-control", "no-store");
    response.send(&sender).await?;
    Ok(())
}
