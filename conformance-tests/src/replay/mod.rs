//! Replays a recording to an application.

mod recorded_exchange;

use std::fmt;
use std::io::BufRead;
use std::time::Duration;

use callgate::transcript::Transcript;
use callgate::{App, BoxApp, State};
use http::header::{DATE, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::driver::{AppSandbox, Observation, Startup, TimeBudget, observe_call};
use crate::record::MASKED;
use recorded_exchange::RecordedExchange;
pub use recorded_exchange::ReplayError;
pub(crate) use recorded_exchange::read as read_exchanges;

/// How long a replay waits for an application that does nothing, by default.
pub(crate) const REPLAY_TIMEOUT: Duration = Duration::from_secs(5);

/// The options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    ignored: Vec<HeaderName>,
    credentials: HeaderMap,
    timeout: Duration,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            ignored: vec![DATE],
            credentials: HeaderMap::new(),
            timeout: REPLAY_TIMEOUT,
        }
    }
}

impl ReplayOptions {
    /// Creates the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does not compare this field in heads and in trailers. `date` is never compared.
    #[must_use]
    pub fn ignore(mut self, name: HeaderName) -> Self {
        self.ignored.push(name);
        self
    }

    /// Sends this value in the requests that have a [masked](crate::MASKED) value in this header
    /// field, such as `authorization`. Each call adds a value.
    #[must_use]
    pub fn credential(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.credentials.append(name, value);
        self
    }

    /// Sets how long to wait for an application that does nothing. Default 5 seconds, as for
    /// [`AppOptions::timeout`](crate::AppOptions::timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// The result of a replay.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Replay {
    /// The number of exchanges that were replayed.
    pub exchanges: usize,
    /// The number of exchanges whose request was sent with masked credentials.
    pub masked_requests: usize,
    /// The differences between the responses of the application: at most one for each exchange.
    pub differences: Vec<ReplayDifference>,
}

/// The first difference between a recorded exchange and its replay.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplayDifference {
    /// The number of the exchange in the recording.
    pub exchange: u64,
    /// The part that differs: `status`, `header fields`, `content`, `trailer fields`, `event` or
    /// `end`.
    pub what: &'static str,
    /// The recorded value.
    pub recorded: String,
    /// The replayed value.
    pub replayed: String,
    /// The messages of the replay.
    pub transcript: Transcript,
}

impl fmt::Display for ReplayDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exchange {}: different {}", self.exchange, self.what)?;
        writeln!(f, "  recorded: {}", self.recorded)?;
        writeln!(f, "  replayed: {}", self.replayed)?;
        for line in self.transcript.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        if self.masked_requests > 0 {
            let masked = self.masked_requests;
            writeln!(f, "{masked} requests were sent with `{MASKED}` credentials")?;
        }
        writeln!(
            f,
            "{} exchanges, {} answered differently",
            self.exchanges,
            self.differences.len()
        )
    }
}

/// Replays the clients' part of a recording of a [`Recorder`](crate::Recorder) to the application
/// that `make` returns, and compares the responses with those in the recording.
///
/// The exchanges are replayed one after the other, in the order in which they began. An event is
/// delivered when the application has sent as many events as it had sent in the recording, or does
/// nothing but wait for it. The client disconnects where it did in the recording, or when the
/// application does nothing until the [timeout](ReplayOptions::timeout). The application is started
/// up first, and its exchanges get the state of that start-up; a lifespan in the recording is
/// replayed to another instance.
///
/// Heads, contents and events are compared. The division of content into events and the `date` field
/// are not.
///
/// A recorder masks credentials. A masked request field is sent as `<masked>`, unless
/// [`ReplayOptions::credential`] has a value for that field; [`Replay::masked_requests`] counts the
/// requests that an application may refuse for that reason. Of a masked response field only the
/// number of its values is compared.
///
/// The function blocks while it runs, as [`check_app`](crate::check_app) does.
///
/// # Errors
///
/// The recording cannot be read or has no exchange, or the application cannot be started up.
///
/// ```
/// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// use callgate_conformance::{ReplayOptions, replay};
///
/// async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     scope.into_http()?;
///     sender.send(HttpResponseStart::ok()).await?;
///     sender.send(HttpResponseBody::last("Hello, world!\n")).await?;
///     Ok(())
/// }
///
/// let recording = r#"
/// {"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/"}}
/// {"exchange":1,"sent":{"type":"http.response.start","status":200}}
/// {"exchange":1,"sent":{"type":"http.response.body","body":"Hello, world?\n"}}
/// {"exchange":1,"ended":"returned"}
/// "#;
/// let replay = replay(recording.as_bytes(), move || hello, ReplayOptions::new())?;
/// assert_eq!(replay.differences[0].what, "content");
/// # Ok::<(), callgate_conformance::ReplayError>(())
/// ```
#[allow(clippy::needless_pass_by_value)]
pub fn replay<A: App>(
    recording: impl BufRead,
    make: impl Fn() -> A,
    options: ReplayOptions,
) -> Result<Replay, ReplayError> {
    let exchanges = read_exchanges(recording)?;
    let time_budget = TimeBudget::new(options.timeout);
    let make: &dyn Fn() -> BoxApp = &|| BoxApp::new(make());
    let mut started: Option<(AppSandbox, State)> = None;
    let mut replay = Replay {
        exchanges: exchanges.len(),
        ..Replay::default()
    };
    for (number, mut exchange) in exchanges {
        let is_masked = exchange.unmask(&options.credentials);
        replay.masked_requests += usize::from(is_masked);
        let observation = if exchange.is_lifespan() {
            AppSandbox::new(make, time_budget.clone()).run(exchange.script(&State::new()))
        } else {
            if started.is_none() {
                let mut sandbox = AppSandbox::new(make, time_budget.clone());
                match sandbox.start_up() {
                    Startup::Complete(state) => started = Some((sandbox, state)),
                    Startup::Failed(reason) => return Err(ReplayError::Startup(reason)),
                }
            }
            let (sandbox, state) = started.as_mut().expect("an application has been started");
            let observation = sandbox.run(exchange.script(state));
            if sandbox.abandoned().is_some() {
                started = None;
            }
            observation
        };
        replay.compare(number, &exchange, observation, &options.ignored);
    }
    Ok(replay)
}

/// Replays a recording, as [`replay()`] does, to an application that is running: the calls are made in the
/// current task, one after the other, and their scopes get `state`. A lifespan in the recording is left out.
///
/// What the application spawns runs on the current runtime, and goes on after the replay. An application that blocks
/// its thread blocks the task.
///
/// # Errors
///
/// The recording cannot be read or has no exchange.
pub async fn replay_running(
    recording: impl BufRead,
    app: &BoxApp,
    state: &State,
    options: ReplayOptions,
) -> Result<Replay, ReplayError> {
    let exchanges = read_exchanges(recording)?;
    let mut replay = Replay::default();
    for (number, mut exchange) in exchanges {
        if exchange.is_lifespan() {
            continue;
        }
        replay.exchanges += 1;
        let is_masked = exchange.unmask(&options.credentials);
        replay.masked_requests += usize::from(is_masked);
        let time_budget = TimeBudget::new(options.timeout);
        let observation = observe_call(app.clone(), exchange.script(state), time_budget).await;
        replay.compare(number, &exchange, observation, &options.ignored);
    }
    Ok(replay)
}

impl Replay {
    /// Adds the difference between the recorded exchange and this replay of it, if there is one.
    fn compare(
        &mut self,
        number: u64,
        exchange: &RecordedExchange,
        observation: Observation,
        ignored: &[HeaderName],
    ) {
        if let Some(difference) = exchange.first_difference(&observation, ignored) {
            self.differences.push(ReplayDifference {
                exchange: number,
                what: difference.what,
                recorded: difference.first,
                replayed: difference.second,
                transcript: observation.transcript,
            });
        }
    }
}
