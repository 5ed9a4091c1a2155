//! What happened, and what it broke.

use callgate::{ReceiveEvent, SendError, SendEvent, Violation};

use crate::driver::Broken;
use callgate::transcript::{Entry, Transcript};

/// Entries of a transcript, but for those that break a rule.
const SHOWN: usize = 200;
/// The same where all events are alike.
const SHOWN_OF_FLOODS: usize = 10;
/// Octets of an event that stand in a transcript.
const SHOWN_OCTETS: usize = 4096;

pub(super) struct Log {
    transcript: Transcript,
    shown: usize,
    left_out: usize,
    broken: Vec<Broken>,
}

impl Log {
    pub(super) fn new(is_flood: bool) -> Self {
        Self {
            transcript: Transcript::default(),
            shown: if is_flood { SHOWN_OF_FLOODS } else { SHOWN },
            left_out: 0,
            broken: Vec::new(),
        }
    }

    /// Adds what happened, and the rules that it broke.
    pub(super) fn push(&mut self, entry: Entry, broken: Vec<Violation>) {
        // What breaks a rule is always shown.
        if self.transcript.entries().len() < self.shown || !broken.is_empty() {
            self.mention_left_out();
            self.transcript.push(entry);
        } else {
            self.left_out += 1;
        }
        self.judge(broken);
    }

    /// Adds rules that were broken by what happened last.
    pub(super) fn judge(&mut self, broken: Vec<Violation>) {
        let at = self.transcript.entries().len();
        self.broken
            .extend(broken.into_iter().map(|violation| Broken { violation, at }));
    }

    /// All of it.
    pub(super) fn read(&mut self) -> (Transcript, Vec<Broken>) {
        self.mention_left_out();
        (self.transcript.clone(), self.broken.clone())
    }

    fn mention_left_out(&mut self) {
        if self.left_out > 0 {
            let note = format!("({} more messages)", self.left_out);
            self.transcript.push(Entry::Note(note));
            self.left_out = 0;
        }
    }
}

/// An event that was received. A long one is not kept: what it holds may be counted.
pub(super) fn received(event: &ReceiveEvent) -> Entry {
    match octets_of_received(event) {
        octets if octets > SHOWN_OCTETS => Entry::Note(format!(
            "received `{}` with {octets} bytes",
            event.type_name()
        )),
        _ => Entry::Received(event.clone()),
    }
}

/// An event that was sent, likewise.
pub(super) fn sent(event: SendEvent, result: Result<(), SendError>) -> Entry {
    let octets = match &event {
        SendEvent::HttpResponseBody(body) | SendEvent::DenialResponseBody(body) => body.body.len(),
        SendEvent::WebSocketSend(message) => message.len(),
        _ => 0,
    };
    if octets > SHOWN_OCTETS {
        let name = event.type_name();
        return Entry::Note(format!("sent `{name}` with {octets} bytes"));
    }
    Entry::Sent(event, result)
}

/// The length of what an event carries, in bytes.
pub(super) fn octets_of_received(event: &ReceiveEvent) -> usize {
    match event {
        ReceiveEvent::HttpRequestBody(request) => request.body.len(),
        ReceiveEvent::WebSocketReceive(message) => message.len(),
        _ => 0,
    }
}
