//! Plays a recording to an application again.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{self, BufRead};
use std::time::Duration;

use callgate::{App, BoxApp, ReceiveEvent, Scope, SendEvent, State};
use http::header::{DATE, HeaderName};

use crate::driver::{Answer, Cue, Extent, House, Outcome, Patience, Plan, Played, StartUp};
use crate::recording::{DISCONNECTED, Ended, Line};
use callgate::transcript::Transcript;

/// How a recording is played again.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    ignored: Vec<HeaderName>,
    patience: Duration,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            ignored: vec![DATE],
            patience: Duration::from_secs(5),
        }
    }
}

impl ReplayOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does not compare this header field, in heads and in trailers. `date` is never compared.
    #[must_use]
    pub fn ignore(mut self, name: HeaderName) -> Self {
        self.ignored.push(name);
        self
    }

    /// How long to wait for an application that does nothing. Default 5 seconds, spent in whole once
    /// for each of what [`AppOptions::patience`](crate::AppOptions::patience) tells.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// What came of playing a recording again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Replay {
    /// Exchanges that were played.
    pub exchanges: usize,
    /// What the application has answered otherwise, at most one difference an exchange.
    pub differences: Vec<ReplayDifference>,
}

/// An exchange that was answered otherwise than it was recorded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplayDifference {
    /// The number of the exchange in the recording.
    pub exchange: u64,
    /// What differs: `status`, `header fields`, `content`, `trailer fields`, `event` or `end`.
    pub what: &'static str,
    /// How it was when it was recorded.
    pub recorded: String,
    /// How it is now.
    pub replayed: String,
    /// The messages of now.
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
        writeln!(
            f,
            "{} exchanges, {} answered otherwise",
            self.exchanges,
            self.differences.len()
        )
    }
}

/// Why a recording could not be played.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// It could not be read.
    Read(io::Error),
    /// A line is not one of a recording: its number, which counts from 1, and what is wrong.
    Line(usize, String),
    /// The application could not be started up.
    StartUp(String),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot read the recording: {error}"),
            Self::Line(number, error) => write!(f, "line {number} of the recording: {error}"),
            Self::StartUp(reason) => write!(f, "the application did not start up: {reason}"),
        }
    }
}

impl Error for ReplayError {}

/// Plays what clients did in a recording of a [`Recorder`](crate::Recorder) to the application that
/// `make` makes, and compares what it answers with what was recorded.
///
/// Exchanges are played one after the other, in the order in which they began. Each event comes
/// when the application has sent as much as it had when it was recorded, or waits for it; the
/// client goes away where it did, or when there has been nothing new for as long as there is
/// patience. The application is started up first and keeps what that hands over; a lifespan in the
/// recording is played to an application of its own.
///
/// Heads, contents and events are compared, not how content was divided into events, nor the `date`
/// field. Blocks while it runs, as [`check_app`](crate::check_app).
///
/// # Errors
///
/// When the recording cannot be read, or the application cannot be started up.
///
/// ```
/// use callgate::{AppError, HttpResponseBody, HttpResponseStart, Receiver, Scope, Sender};
/// use callgate_conformance::{ReplayOptions, replay};
///
/// async fn hello(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     sender.send(HttpResponseStart::ok()).await?;
///     sender.send(HttpResponseBody::last("Hello, world!\n")).await?;
///     Ok(())
/// }
/// # let decline = |scope: Scope, receiver: Receiver, sender: Sender| async move {
/// #     match scope {
/// #         Scope::Http(_) => hello(scope, receiver, sender).await,
/// #         _ => Err(AppError::Unsupported),
/// #     }
/// # };
/// # let hello = decline;
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
    let exchanges = read(recording)?;
    let patience = Patience::new(options.patience);
    let make: &dyn Fn() -> BoxApp = &|| BoxApp::new(make());
    let mut home: Option<(House, State)> = None;
    let mut differences = Vec::new();
    for (number, exchange) in &exchanges {
        let played = if let Scope::Lifespan(_) = exchange.scope {
            let plan = exchange.plan(&State::new());
            House::new(make, patience.clone()).play(plan)
        } else {
            if home.is_none() {
                let mut house = House::new(make, patience.clone());
                match house.start_up() {
                    StartUp::Complete(state) => home = Some((house, state)),
                    StartUp::Failed(reason) => return Err(ReplayError::StartUp(reason)),
                }
            }
            let (house, state) = home.as_mut().expect("there is one now");
            let played = house.play(exchange.plan(state));
            if house.abandoned().is_some() {
                home = None;
            }
            played
        };
        if let Some((what, recorded, replayed)) = exchange.difference(&played, &options.ignored) {
            differences.push(ReplayDifference {
                exchange: *number,
                what,
                recorded,
                replayed,
                transcript: played.transcript,
            });
        }
    }
    Ok(Replay {
        exchanges: exchanges.len(),
        differences,
    })
}

/// An exchange as it was recorded.
struct Recorded {
    scope: Scope,
    received: Vec<Cue>,
    /// What the server took.
    answer: Answer,
    sends: usize,
    interactions: usize,
    /// Events after which sends began to fail because the client was gone.
    gone_after: Option<usize>,
    ended: Option<Ended>,
}

fn read(recording: impl BufRead) -> Result<BTreeMap<u64, Recorded>, ReplayError> {
    let mut exchanges = BTreeMap::new();
    for (index, line) in recording.lines().enumerate() {
        let line = line.map_err(ReplayError::Read)?;
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: String| ReplayError::Line(index + 1, what);
        let line: Line = serde_json::from_str(&line).map_err(|error| wrong(reason(&error)))?;
        if line.is_empty() {
            return Err(wrong("it says nothing of an exchange".to_owned()));
        }
        if let Some(scope) = line.called {
            let exchange = Recorded::new(scope);
            if exchanges.insert(line.exchange, exchange).is_some() {
                return Err(wrong(format!("exchange {} began before", line.exchange)));
            }
            continue;
        }
        // Of a kind that has no serialised form only the rest is recorded.
        if let Some(exchange) = exchanges.get_mut(&line.exchange) {
            exchange.push(line);
        }
    }
    Ok(exchanges)
}

/// What is wrong with a line, without its number, which is always 1 there.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} at column {}", error.column()),
        None => text,
    }
}

impl Recorded {
    fn new(scope: Scope) -> Self {
        Self {
            scope,
            received: Vec::new(),
            answer: Answer::default(),
            sends: 0,
            interactions: 0,
            gone_after: None,
            ended: None,
        }
    }

    fn push(&mut self, line: Line) {
        if let Some(event) = line.received {
            let is_disconnect = matches!(
                event,
                ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
            );
            self.interactions += usize::from(!is_disconnect);
            self.received.push(Cue {
                event,
                after_sends: self.sends,
            });
        }
        if let Some(event) = line.sent {
            match line.failed.as_deref() {
                None => self.sent(&event),
                Some(DISCONNECTED) if line.ended.is_none() && self.ended.is_none() => {
                    self.gone_after.get_or_insert(self.interactions);
                }
                Some(_) => {}
            }
        }
        self.ended = self.ended.or(line.ended);
    }

    fn sent(&mut self, event: &SendEvent) {
        self.sends += 1;
        self.interactions += 1;
        self.answer.push(event);
    }

    fn plan(&self, state: &State) -> Plan {
        let mut scope = self.scope.clone();
        if let Some(own) = scope.state_mut() {
            *own = state.clone();
        }
        let mut plan = Plan::new(scope, self.received.clone());
        plan.gone_after = self.gone_after;
        let disconnect = self.received.iter().find(|cue| {
            matches!(
                cue.event,
                ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_)
            )
        });
        if let Some(cue) = disconnect {
            plan.disconnect = cue.event.clone();
        }
        plan
    }

    fn difference(
        &self,
        played: &Played,
        ignored: &[HeaderName],
    ) -> Option<(&'static str, String, String)> {
        if let Some(difference) = self
            .answer
            .difference(&played.answer, ignored, Extent::Whole)
        {
            return Some((difference.what, difference.one, difference.other));
        }
        let now = match played.outcome {
            Outcome::Returned => Ended::Returned,
            Outcome::Declined => Ended::Declined,
            Outcome::Disconnected => Ended::Disconnected,
            Outcome::Failed(_) => Ended::Failed,
            Outcome::Panicked(_) => Ended::Panicked,
            Outcome::Dropped | Outcome::Blocked => Ended::Dropped,
        };
        match self.ended {
            Some(then) if then != now && then != Ended::Dropped => {
                Some(("end", format!("{then:?}").to_lowercase(), played.ending()))
            }
            _ => None,
        }
    }
}
