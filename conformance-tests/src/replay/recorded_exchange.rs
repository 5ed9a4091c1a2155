//! Reads the exchanges of a recording.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{self, BufRead};

use callgate::{ReceiveEvent, Scope, SendEvent, State};
use http::{HeaderMap, HeaderName};

use crate::call_end::CallEnd;
use crate::driver::{
    AppOutput, ClientScript, Comparison, Difference, Observation, ScriptedEvent, is_disconnect,
};
use crate::record::credentials::{mask_named, masked_names, sent_fields};
use crate::record::record_line::{DISCONNECTED, RecordLine};

/// The reason for which a recording could not be replayed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recording could not be read.
    Read(io::Error),
    /// A line is not a line of a recording: the number of the line, from 1, and the fault.
    Line(usize, String),
    /// The recording has no exchange.
    Empty,
    /// The application could not be started up.
    Startup(String),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot read the recording: {error}"),
            Self::Line(number, error) => write!(f, "line {number} of the recording: {error}"),
            Self::Empty => f.write_str("the recording has no exchange"),
            Self::Startup(reason) => write!(f, "the application did not start up: {reason}"),
        }
    }
}

impl Error for ReplayError {}

/// An exchange of a recording.
pub(crate) struct RecordedExchange {
    scope: Scope,
    received: Vec<ScriptedEvent>,
    /// The output that the server took from the application.
    output: AppOutput,
    /// The response fields that have a masked value.
    masked_response_fields: Vec<HeaderName>,
    send_count: usize,
    event_count: usize,
    /// The number of events after which sends began to fail because the client had disconnected.
    disconnects_after: Option<usize>,
    end: Option<CallEnd>,
}

/// Reads a recording: its exchanges by number.
pub(crate) fn read(
    recording: impl BufRead,
) -> Result<BTreeMap<u64, RecordedExchange>, ReplayError> {
    let mut exchanges = BTreeMap::new();
    for (index, line) in recording.lines().enumerate() {
        let line = line.map_err(ReplayError::Read)?;
        if line.trim().is_empty() {
            continue;
        }
        let invalid = |reason: String| ReplayError::Line(index + 1, reason);
        let line: RecordLine =
            serde_json::from_str(&line).map_err(|error| invalid(parse_error(&error)))?;
        if line.is_empty() {
            return Err(invalid("it contains no event of an exchange".to_owned()));
        }
        if let Some(scope) = line.called {
            let exchange = RecordedExchange::new(scope);
            if exchanges.insert(line.exchange, exchange).is_some() {
                let reason = format!("exchange {} has begun before", line.exchange);
                return Err(invalid(reason));
            }
            continue;
        }
        // An exchange whose scope has no serialised form is recorded without its scope.
        if let Some(exchange) = exchanges.get_mut(&line.exchange) {
            exchange.push(line);
        }
    }
    if exchanges.is_empty() {
        return Err(ReplayError::Empty);
    }
    Ok(exchanges)
}

/// Returns the text of an error without its line number, which is always 1.
fn parse_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(reason) => format!("{reason} at column {}", error.column()),
        None => text,
    }
}

impl RecordedExchange {
    fn new(scope: Scope) -> Self {
        Self {
            scope,
            received: Vec::new(),
            output: AppOutput::default(),
            masked_response_fields: Vec::new(),
            send_count: 0,
            event_count: 0,
            disconnects_after: None,
            end: None,
        }
    }

    fn push(&mut self, line: RecordLine) {
        if let Some(event) = line.received {
            self.event_count += usize::from(!is_disconnect(&event));
            self.received.push(ScriptedEvent {
                event,
                after_sends: self.send_count,
            });
        }
        if let Some(event) = line.sent {
            match line.failed.as_deref() {
                None => self.push_sent(&event),
                Some(DISCONNECTED) if line.ended.is_none() && self.end.is_none() => {
                    self.disconnects_after.get_or_insert(self.event_count);
                }
                Some(_) => {}
            }
        }
        self.end = self.end.or(line.ended);
    }

    fn push_sent(&mut self, event: &SendEvent) {
        self.send_count += 1;
        self.event_count += 1;
        self.output.push(event);
        let masked = sent_fields(event).into_iter().flat_map(masked_names);
        self.masked_response_fields.extend(masked.cloned());
    }

    /// Returns the scope and the events that the application received.
    pub(crate) fn into_request(self) -> (Scope, impl Iterator<Item = ReceiveEvent>) {
        let events = self.received.into_iter().map(|received| received.event);
        (self.scope, events)
    }

    pub(super) fn is_lifespan(&self) -> bool {
        matches!(self.scope, Scope::Lifespan(_))
    }

    /// Replaces the masked values of the request's header fields by the values of the same fields in
    /// `credentials`. Returns whether masked values remain.
    pub(super) fn unmask(&mut self, credentials: &HeaderMap) -> bool {
        let Some(request) = self.scope.request_mut() else {
            return false;
        };
        let fields = &mut request.headers;
        let masked: Vec<_> = masked_names(fields).cloned().collect();
        let mut is_masked = false;
        for name in masked {
            match credentials.get(&name) {
                Some(_) => {
                    fields.remove(&name);
                    for value in credentials.get_all(&name) {
                        fields.append(&name, value.clone());
                    }
                }
                None => is_masked = true,
            }
        }
        is_masked
    }

    /// Returns the script of the client in this exchange.
    pub(super) fn script(&self, state: &State) -> ClientScript {
        let mut scope = self.scope.clone();
        if let Some(request) = scope.request_mut() {
            request.state = state.clone();
        }
        let mut script = ClientScript::new(scope, self.received.clone());
        script.disconnects_after = self.disconnects_after;
        if let Some(disconnect) = self.received.iter().find(|it| is_disconnect(&it.event)) {
            script.disconnect_event = disconnect.event.clone();
        }
        script
    }

    /// Returns the first difference between the recorded exchange and `observation`.
    pub(super) fn first_difference(
        &self,
        observation: &Observation,
        ignored: &[HeaderName],
    ) -> Option<Difference> {
        let mut output = observation.output.clone();
        output.edit_fields(|fields| mask_named(fields, &self.masked_response_fields));
        let difference = self
            .output
            .first_difference(&output, ignored, Comparison::Complete);
        difference.or_else(|| self.end_difference(observation))
    }

    fn end_difference(&self, observation: &Observation) -> Option<Difference> {
        let end = match observation.end {
            CallEnd::Blocked => CallEnd::Dropped,
            CallEnd::ProcessEnded => CallEnd::Panicked,
            end => end,
        };
        // A server may drop a call at any time after the disconnect.
        let recorded = self.end.filter(|end| *end != CallEnd::Dropped)?;
        (recorded != end).then(|| Difference {
            what: "end",
            first: format!("{recorded:?}").to_lowercase(),
            second: observation.end_description(),
        })
    }
}
