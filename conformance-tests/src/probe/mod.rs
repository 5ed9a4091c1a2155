//! The probe: an application that does what the suite tells it to, and tells the suite what it saw.
//!
//! The server suite has a server serve it. A request brings its first steps along, in its `probe`
//! field, so that they run without waiting for anyone; further steps, and all that the probe has to
//! tell, go over a connection of its own to the suite, a JSON object a line ([`Command`],
//! [`Told`]). So a case can say step by step what the application does, and wait on what happened
//! rather than for a while.
//!
//! Any server that can serve a Callgate application can be checked with [`Probe`]; `asgi_probe.py`
//! is the same for servers of ASGI.

mod act;
mod link;
mod protocol;

use std::net::SocketAddr;
use std::sync::Mutex;

use callgate::{App, AppError, Receiver, Scope, Sender, State};
use http::HeaderValue;

use act::{Call, Texts};
use link::Link;
pub use protocol::{Command, End, PROBE_FIELD, PROBE_VARIABLE, SentOutcome, Step, Told};

/// The application that the server suite has a server serve.
#[derive(Debug)]
pub struct Probe {
    suite: SocketAddr,
    link: Mutex<Option<Link>>,
}

impl Probe {
    /// A probe for the suite that listens at this address. It connects when it is first called.
    #[must_use]
    pub fn new(suite: SocketAddr) -> Self {
        Self {
            suite,
            link: Mutex::new(None),
        }
    }

    /// A probe for the suite whose address stands in the environment, in [`PROBE_VARIABLE`].
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what would be right.
    pub fn from_env() -> Result<Self, String> {
        let value = std::env::var(PROBE_VARIABLE).map_err(|_| {
            format!("{PROBE_VARIABLE} is not set: the suite sets it to its address")
        })?;
        let suite = value.parse().map_err(|_| {
            format!("{PROBE_VARIABLE} is `{value}`, and must be an address such as 127.0.0.1:9000")
        })?;
        Ok(Self::new(suite))
    }

    /// A state with these texts, as if the application had put them in: for a server that is to
    /// break the rules of state.
    #[must_use]
    pub fn state_of(texts: &[&str]) -> State {
        let mut state = State::new();
        let texts = texts.iter().map(|text| (*text).to_owned());
        state.insert(Texts(texts.collect()));
        state
    }

    /// The connection to the suite; a new one if there is none or the suite has closed it.
    async fn link(&self) -> Result<Link, AppError> {
        let open = || {
            let link = self.link.lock().expect("never held across a panic");
            link.clone().filter(Link::is_open)
        };
        if let Some(link) = open() {
            return Ok(link);
        }
        let link = Link::connect(self.suite).await.map_err(|error| {
            AppError::failed(format!(
                "the suite cannot be reached at {}: {error}",
                self.suite
            ))
        })?;
        if let Some(earlier) = open() {
            return Ok(earlier);
        }
        *self.link.lock().expect("never held across a panic") = Some(link.clone());
        Ok(link)
    }
}

impl App for Probe {
    async fn call(
        &self,
        mut scope: Scope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let link = self.link().await?;
        let steps = first_steps(&scope)?;
        let state = scope
            .request_mut()
            .map(|request| std::mem::take(&mut request.state));
        let state = state.unwrap_or_default();
        let (call, commands) = link.begin(&scope);
        let call = Call::new(call, link, receiver, sender, state);
        call.run(steps, commands).await
    }
}

/// The steps that a request brings along.
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
