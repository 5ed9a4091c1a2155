//! WebSockets and requests in the groups of a channel layer (crate `callgate-channels`).
//!
//! [`with_layer`] opens the layer at start-up and closes it at shutdown, [`layer`] takes the layer from the
//! state of an exchange, and a [`GroupSession`] is a WebSocket that is a member of a group:
//!
//! ```
//! use callgate::{App, AppError, Receiver, Scope, Sender};
//! use callgate_channels::{ChannelLayer, GroupEvent};
//! use callgate_toolkit::channels::{self, GroupSession, SessionEvent};
//! use callgate_toolkit::websocket::WebSocketUpgrade;
//!
//! async fn room(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_websocket()?;
//!     let room = channels::layer(&scope.state)?.group("room:7");
//!     let upgrade = WebSocketUpgrade::new(&scope, receiver, sender);
//!     let mut session = GroupSession::join(upgrade, &room, "a guest").await?;
//!     while let Some(event) = session.next().await {
//!         match event {
//!             SessionEvent::Client(message) => {
//!                 if let Err(error) = room.publish(channels::payload(message)).await {
//!                     return Err(session.fail(error).await);
//!                 }
//!             }
//!             SessionEvent::Group(GroupEvent::Message(message)) => session.forward(message.payload),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//!
//! fn app() -> impl App {
//!     channels::with_layer(room, || ChannelLayer::connect("memory"))
//! }
//! ```
//!
//! - [`follow_members`] keeps the list of the members of all processes: one task for a group, whose list all
//!   sessions share.
//! - In an HTTP exchange, `subscribe_from` continues with the number in `last-event-id`: the example
//!   `resume` shows this with server-sent events.
//! - The server is ready only while the layer is reached, and shows the numbers of the layer, where the program
//!   says so: see [`with_layer`].
//! - An [`Error`] of the layer becomes a response of 503 in [`errors::handle`](crate::errors::handle)
//!   (feature `json`), and the close frame of [`close_frame`] on a WebSocket.

use std::future::Future;

use callgate::{App, AppError, Message, State, WebSocketClose};
use callgate_channels::{ChannelLayer, Error, Payload};
use http::StatusCode;

use crate::lifespan::with_resource;

mod members;
mod session;

pub use self::members::{GroupMembers, SharedMembers, follow_members};
pub use self::session::{GroupSession, SessionEvent};

/// Puts `app` into an application that opens a channel layer at start-up and closes it at shutdown. Each
/// exchange finds the layer with [`layer`]. Applications that are [mounted](crate::mount) below share it.
///
/// When `connect` fails, the start-up fails: the server stops with the text of the error, which says what
/// could not be reached. A layer that is lost later connects again.
///
/// ```
/// use callgate::App;
/// use callgate_channels::{ChannelLayer, Settings};
/// use callgate_toolkit::channels;
///
/// fn with_groups(app: impl App, url: String) -> impl App {
///     channels::with_layer(app, move || {
///         let url = url.clone();
///         async move { ChannelLayer::connect_with(&url, Settings::new().namespace("shop")).await }
///     })
/// }
/// ```
///
/// With the reference server, a program adds the readiness of the layer to `/readyz`, and its numbers to `/metrics`
/// (feature `prometheus` of `callgate-channels`):
///
/// ```no_run
/// use std::future::ready;
/// use std::process::ExitCode;
///
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_channels::{ChannelLayer, Error, MetricsCollector};
/// use callgate_server::Monitoring;
/// use callgate_server::cli::Program;
/// use callgate_server::prometheus_client::registry::Registry;
/// use callgate_toolkit::channels;
///
/// # async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> { Ok(()) }
/// async fn open(monitoring: Monitoring) -> Result<ChannelLayer, Error> {
///     let layer = ChannelLayer::connect("redis://127.0.0.1:6379").await?;
///     let mut registry = Registry::default();
///     registry.register_collector(Box::new(MetricsCollector::new(&layer)));
///     monitoring.metrics(registry);
///     let checked = layer.clone();
///     monitoring.ready_check("channels", move || ready(checked.health().check()));
///     Ok(layer)
/// }
///
/// fn main() -> ExitCode {
///     let monitoring = Monitoring::new();
///     let of_app = monitoring.clone();
///     let app = channels::with_layer(app, move || open(of_app.clone()));
///     Program::new(app).monitoring(monitoring).main()
/// }
/// ```
pub fn with_layer<Connect, Connecting, ConnectError>(app: impl App, connect: Connect) -> impl App
where
    Connect: Fn() -> Connecting + Send + Sync + 'static,
    Connecting: Future<Output = Result<ChannelLayer, ConnectError>> + Send,
    ConnectError: Into<AppError>,
{
    with_resource(app, connect, async |layer: ChannelLayer| {
        layer.close().await;
        Ok::<_, AppError>(())
    })
}

/// Returns the layer that start-up has put into the state of an exchange.
///
/// # Errors
///
/// When the application is not inside [`with_layer`], or the server does not run lifespan.
pub fn layer(state: &State) -> Result<&ChannelLayer, AppError> {
    state.get().ok_or_else(|| {
        AppError::failed(
            "there is no channel layer: put the application into `channels::with_layer`, and let \
             the server run lifespan",
        )
    })
}

/// Returns the message of a WebSocket as the payload of a message in a group: text as text, and bytes as
/// bytes.
#[must_use]
pub fn payload(message: Message) -> Payload {
    match message {
        Message::Text(text) => Payload::Text(text),
        Message::Binary(bytes) => Payload::Binary(bytes),
    }
}

/// Returns a payload as the message of a WebSocket: text as text, and bytes as bytes.
#[must_use]
pub fn message(payload: Payload) -> Message {
    match payload {
        Payload::Text(text) => Message::Text(text),
        Payload::Binary(bytes) => Message::Binary(bytes),
    }
}

/// Returns the close frame for a WebSocket whose operation of the layer has failed: 1013, "try again later",
/// when the layer cannot be reached, or when the number to continue from is not known; 1009 for a message that is
/// too large; 1008 for a name that is too long, or a member that is not there; otherwise 1011.
///
/// The reason does not name hosts.
#[must_use]
pub fn close_frame(error: &Error) -> WebSocketClose {
    let code = match error {
        _ if is_outage(error) => 1013,
        Error::SequenceAhead { .. } => 1013,
        Error::MessageTooLarge { .. } => 1009,
        Error::NameTooLong { .. } | Error::NoSuchMember(_) => 1008,
        _ => 1011,
    };
    WebSocketClose::new(code).reason(reason(error))
}

/// Returns the status of a response to a request whose operation of the layer has failed.
pub(crate) fn status(error: &Error) -> StatusCode {
    match error {
        _ if is_outage(error) => StatusCode::SERVICE_UNAVAILABLE,
        Error::MessageTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::NameTooLong { .. } => StatusCode::BAD_REQUEST,
        Error::NoSuchMember(_) => StatusCode::NOT_FOUND,
        Error::SequenceAhead { .. } => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns the reason for the client, without the names of hosts.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        _ if is_outage(error) => "the channel layer is unavailable".to_owned(),
        Error::MessageTooLarge { .. }
        | Error::NameTooLong { .. }
        | Error::NoSuchMember(_)
        | Error::SequenceAhead { .. } => error.to_string(),
        _ => "the channel layer has failed".to_owned(),
    }
}

/// Returns whether the operation may succeed later.
pub(crate) fn is_outage(error: &Error) -> bool {
    matches!(
        error,
        Error::Unreachable { .. }
            | Error::Unconfirmed { .. }
            | Error::Refused { .. }
            | Error::Closed
    )
}
