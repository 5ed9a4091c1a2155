//! The probe: an application that takes the steps which the suite commands, and sends the suite a
//! message about each.
//!
//! The server under test serves the probe. A request carries the first steps in its `probe` field, so
//! that they run without waiting for the suite. Further commands, and all messages, go over a
//! connection from the probe to the suite, one JSON object a line ([`ProbeCommand`],
//! [`ProbeMessage`]). So a case decides step by step what the application does, and waits for messages
//! rather than for time to pass.
//!
//! Any server of Callgate can serve [`Probe`]; `asgi_probe.py` is the probe for servers of ASGI.

mod commanded_call;
mod protocol;
mod suite_connection;

use std::net::SocketAddr;
use std::sync::Mutex;

use callgate::{App, AppError, Receiver, Scope, Sender, State};
use http::HeaderValue;

use commanded_call::{CommandedCall, Texts};
pub use protocol::{
    PROBE_FIELD, PROBE_VARIABLE, ProbeCallEnd, ProbeCommand, ProbeMessage, SendOutcome, Step,
};
#[cfg(feature = "server")]
pub(crate) use protocol::{from_line, to_line};
use suite_connection::SuiteConnection;

/// The application that the server suite has a server serve.
#[derive(Debug)]
pub struct Probe {
    suite: SocketAddr,
    connection: Mutex<Option<SuiteConnection>>,
}

impl Probe {
    /// Creates a probe for the suite that listens at this address. The probe connects when a server
    /// first calls it.
    #[must_use]
    pub fn new(suite: SocketAddr) -> Self {
        Self {
            suite,
            connection: Mutex::new(None),
        }
    }

    /// Creates a probe for the suite whose address is in the environment variable [`PROBE_VARIABLE`].
    ///
    /// # Errors
    ///
    /// The variable is not set or is no address: one line that says so, and what to set.
    pub fn from_env() -> Result<Self, String> {
        let value = std::env::var(PROBE_VARIABLE).map_err(|_| {
            format!("{PROBE_VARIABLE} is not set: the suite sets it to its address")
        })?;
        let suite = value.parse().map_err(|_| {
            format!("{PROBE_VARIABLE} is `{value}`, and must be an address such as 127.0.0.1:9000")
        })?;
        Ok(Self::new(suite))
    }

    /// Creates a state with these texts, as if the probe had put them in: for a server that breaks the
    /// rules of state on purpose.
    #[must_use]
    pub fn state_of(texts: &[&str]) -> State {
        let mut state = State::new();
        let texts = texts.iter().map(|text| (*text).to_owned());
        state.insert(Texts(texts.collect()));
        state
    }

    /// Returns the connection to the suite: a new one if there is none or the suite has closed it.
    async fn suite(&self) -> Result<SuiteConnection, AppError> {
        let open = || {
            let connection = self.connection.lock().expect("never held across a panic");
            connection.clone().filter(SuiteConnection::is_open)
        };
        if let Some(connection) = open() {
            return Ok(connection);
        }
        let connection = SuiteConnection::connect(self.suite)
            .await
            .map_err(|error| {
                AppError::failed(format!(
                    "the suite cannot be reached at {}: {error}",
                    self.suite
                ))
            })?;
        if let Some(earlier) = open() {
            return Ok(earlier);
        }
        *self.connection.lock().expect("never held across a panic") = Some(connection.clone());
        Ok(connection)
    }
}

impl App for Probe {
    async fn call(
        &self,
        mut scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let connection = self.suite().await?;
        let steps = first_steps(&scope)?;
        let (state, extensions) = match scope.request_mut() {
            Some(request) => (
                std::mem::take(&mut request.state),
                std::mem::take(&mut request.extensions),
            ),
            None => Default::default(),
        };
        let (call, commands) = connection.begin(&scope);
        let call = CommandedCall::new(call, connection, receiver, sender, state, extensions);
        call.run(steps, commands).await
    }
}

/// Returns the steps that a request brings along.
fn first_steps(scope: &Scope) -> Result<Vec<Step>, AppError> {
    let field = scope
        .headers()
        .and_then(|headers| headers.get(PROBE_FIELD))
        .map(HeaderValue::as_bytes);
    match field {
        None => Ok(Vec::new()),
        Some(steps) => serde_json::from_slice(steps)
            .map_err(|error| AppError::failed(format!("`{PROBE_FIELD}` is malformed: {error}"))),
    }
}
