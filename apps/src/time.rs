//! The date and the time where the server is, as JSON.

use callgate::{AppError, BoxApp, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use jiff::Zoned;
use serde::Serialize;

use crate::{Entry, Group, method};

/// The entry of `time` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "time",
    group: Group::Protocol,
    summary: "Answers with the month, the day and the time where the server is, as JSON.",
    try_it: &["curl {http}"],
    service: None,
    source: include_str!("time.rs"),
    app: |_| BoxApp::new(time),
};

#[derive(Serialize)]
struct Now {
    month: i8,
    day: i8,
    time: String,
}

/// Answers a request with the date and the time.
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for a WebSocket and for lifespan, and the error of a send that
/// fails.
pub async fn time(scope: Scope, _receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    if !method::is_get_or_head(&scope.method) {
        return method::not_allowed(&scope, &sender).await;
    }
    let now = Zoned::now();
    let now = Now {
        month: now.month(),
        day: now.day(),
        time: format!("{:.6}", now.time()),
    };
    let response = respond::json(&now)?.header("cache-control", "no-store");
    response.send(&sender).await
}
