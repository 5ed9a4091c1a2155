//! The transcript of an exchange, and the rules that were broken in it.

use callgate::transcript::{Entry, Transcript};
use callgate::{ReceiveEvent, SendError, SendEvent, Violation};

use crate::driver::observation::LocatedViolation;

/// The most entries of a transcript. An entry that breaks a rule is always added.
const MAX_ENTRIES: usize = 200;
/// The most entries of a flood, whose events are all alike.
const MAX_FLOOD_ENTRIES: usize = 10;
/// The most bytes of an event that a transcript contains.
const MAX_EVENT_LENGTH: usize = 4096;

pub(super) struct ExchangeLog {
    transcript: Transcript,
    max_entries: usize,
    omitted: usize,
    violations: Vec<LocatedViolation>,
}

impl ExchangeLog {
    pub(super) fn new(is_flood: bool) -> Self {
        Self {
            transcript: Transcript::default(),
            max_entries: match is_flood {
                true => MAX_FLOOD_ENTRIES,
                false => MAX_ENTRIES,
            },
            omitted: 0,
            violations: Vec::new(),
        }
    }

    /// Adds an entry, and the rules that were broken with it.
    pub(super) fn push(&mut self, entry: Entry, violations: Vec<Violation>) {
        if self.transcript.entries().len() < self.max_entries || !violations.is_empty() {
            self.mention_omitted();
            self.transcript.push(entry);
        } else {
            self.omitted += 1;
        }
        self.push_violations(violations);
    }

    /// Adds rules that were broken with the last entry.
    pub(super) fn push_violations(&mut self, violations: impl IntoIterator<Item = Violation>) {
        let entry_count = self.transcript.entries().len();
        self.violations
            .extend(violations.into_iter().map(|violation| LocatedViolation {
                violation,
                entry_count,
            }));
    }

    /// Returns whether this violation has been added.
    pub(super) fn has(&self, violation: &Violation) -> bool {
        self.violations
            .iter()
            .any(|located| located.violation == *violation)
    }

    /// Returns the transcript and the violations so far.
    pub(super) fn contents(&mut self) -> (Transcript, Vec<LocatedViolation>) {
        self.mention_omitted();
        (self.transcript.clone(), self.violations.clone())
    }

    fn mention_omitted(&mut self) {
        if self.omitted > 0 {
            let note = format!("({} more messages)", self.omitted);
            self.transcript.push(Entry::Note(note));
            self.omitted = 0;
        }
    }
}

/// Returns the entry of a received event. The entry of a long event does not hold its content, which
/// would count as content that the application holds.
pub(super) fn received_entry(event: &ReceiveEvent) -> Entry {
    match received_length(event) {
        length if length > MAX_EVENT_LENGTH => Entry::Note(format!(
            "received `{}` with {length} bytes",
            event.type_name()
        )),
        _ => Entry::Received(event.clone()),
    }
}

/// Returns the entry of a sent event. The entry of a long event does not hold its content.
pub(super) fn sent_entry(event: SendEvent, result: Result<(), SendError>) -> Entry {
    let length = match &event {
        SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body) => body.body.len(),
        SendEvent::WebSocketSend(message) => message.len(),
        _ => 0,
    };
    if length > MAX_EVENT_LENGTH {
        let name = event.type_name();
        return Entry::Note(format!("sent `{name}` with {length} bytes"));
    }
    Entry::Sent(event, result)
}

/// Returns the length of the content of a received event, in bytes.
pub(super) fn received_length(event: &ReceiveEvent) -> usize {
    match event {
        ReceiveEvent::HttpRequestBody(request) => request.body.len(),
        ReceiveEvent::WebSocketReceive(message) => message.len(),
        _ => 0,
    }
}
