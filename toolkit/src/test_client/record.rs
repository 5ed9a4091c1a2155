//! The record of one exchange: its events, how its call ended, and whether its client is gone.

use std::sync::{Arc, Mutex, MutexGuard};

use callgate::transcript::{Entry, Transcript};
use callgate::{AppError, SendError, SendEvent, Violation, WebSocketClose};
use callgate_drive::{CallResult, EndReport};
use tokio::sync::{Notify, watch};

use super::failure::Failure;

/// The number of body events, and of bytes in them, that an application may send after the client has
/// all of the response. Past either, the client counts as gone: an application that never waits fills
/// the memory with its transcript otherwise.
const MAX_DISCARDED_EVENTS: usize = 1_000;
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;

/// The record of one exchange, which the application's channel, the server's task and the test share.
#[derive(Debug, Default)]
pub(super) struct Record {
    recorded: Mutex<Recorded>,
    /// `None` until the call has ended.
    outcome: watch::Sender<Option<Result<(), Failure>>>,
    /// Wakes the server's task when the client disconnects.
    disconnect: Notify,
    /// Wakes the server's task when too much content has been discarded.
    discarded_enough: Notify,
}

#[derive(Debug, Default)]
struct Recorded {
    transcript: Transcript,
    violation: Option<Violation>,
    /// The rule that was broken before the application had sent all that its client gets.
    violation_in_response: Option<Violation>,
    /// Whether the application has sent all that its client gets.
    is_complete: bool,
    /// Whether the application has sent content, so that the head of its response is on its way.
    has_response: bool,
    is_continued: bool,
    is_disconnected: bool,
    /// The close of a WebSocket by the server, at shutdown.
    close: Option<WebSocketClose>,
    /// The content sent since the client had all of the response.
    discarded: Option<Discarded>,
}

#[derive(Debug, Default)]
struct Discarded {
    events: usize,
    bytes: usize,
}

impl Recorded {
    /// Records that the application has broken a rule. The first is kept.
    fn broke(&mut self, violation: &Violation) {
        if self.violation.is_none() {
            self.violation = Some(violation.clone());
            if !self.is_complete {
                self.violation_in_response = Some(violation.clone());
            }
        }
    }
}

impl Record {
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap()
    }

    pub(super) fn push(&self, entry: Entry) {
        self.recorded().transcript.push(entry);
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.push(Entry::Note(note.into()));
    }

    /// Records an event that the application has sent, or has tried to send.
    pub(super) fn sent(&self, event: SendEvent, result: Result<(), SendError>) {
        let mut recorded = self.recorded();
        match (&result, &event) {
            (Err(SendError::Violation(violation)), _) => recorded.broke(violation),
            (Ok(()), SendEvent::HttpResponseBody(body)) => {
                recorded.has_response = true;
                recorded.is_complete |= !body.more_body;
                if let Some(discarded) = &mut recorded.discarded {
                    discarded.events += 1;
                    discarded.bytes += body.body.len();
                    if discarded.events >= MAX_DISCARDED_EVENTS
                        || discarded.bytes >= MAX_DISCARDED_BYTES
                    {
                        self.discarded_enough.notify_one();
                    }
                }
            }
            (Ok(()), SendEvent::HttpResponsePathSend(_)) => {
                recorded.has_response = true;
                recorded.is_complete = true;
            }
            (Ok(()), SendEvent::WebSocketClose(_)) => recorded.is_complete = true,
            _ => {}
        }
        recorded.transcript.push(Entry::Sent(event, result));
    }

    /// Records that the application asks for content that the client withholds until it reads
    /// `100 Continue`. The server sends that unless a response is on its way.
    pub(super) fn content_wanted(&self) {
        let mut recorded = self.recorded();
        if !recorded.has_response {
            recorded.is_continued = true;
            let note = "the server sends 100 Continue";
            recorded.transcript.push(Entry::Note(note.into()));
        }
    }

    pub(super) fn is_continued(&self) -> bool {
        self.recorded().is_continued
    }

    pub(super) fn transcript(&self) -> Transcript {
        self.recorded().transcript.clone()
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.recorded().violation.clone()
    }

    /// Returns the rule that the application broke before it had sent all that its client gets.
    pub(super) fn violation_in_response(&self) -> Option<Violation> {
        self.recorded().violation_in_response.clone()
    }

    /// Records that the client is gone, and wakes the server's task.
    pub(super) fn disconnect(&self) {
        self.recorded().is_disconnected = true;
        self.disconnect.notify_one();
    }

    pub(super) fn is_disconnected(&self) -> bool {
        self.recorded().is_disconnected
    }

    /// Waits until the client is gone. Only the server's task waits.
    pub(super) async fn disconnected(&self) {
        while !self.is_disconnected() {
            self.disconnect.notified().await;
        }
    }

    /// Begins to count the content that is discarded, and waits until it is too much.
    pub(super) async fn discarded_enough(&self) {
        self.recorded().discarded = Some(Discarded::default());
        self.discarded_enough.notified().await;
    }

    /// Records that the server has closed the WebSocket.
    pub(super) fn close(&self, close: WebSocketClose) {
        self.recorded().close = Some(close);
    }

    /// Returns the close by the server, if there was one.
    pub(super) fn closed(&self) -> Option<WebSocketClose> {
        self.recorded().close.clone()
    }

    /// Records how the call has ended.
    pub(super) fn ended(&self, result: CallResult, end: EndReport) {
        let outcome = match result {
            CallResult::Returned(Ok(())) => match end.violation {
                Some(violation) => {
                    self.recorded().broke(&violation);
                    Err(Failure::Violation(violation))
                }
                None => Ok(()),
            },
            CallResult::Returned(Err(AppError::Unsupported)) if end.is_declinable => {
                Err(Failure::Declined)
            }
            CallResult::Returned(Err(error)) if error.is_disconnected() => Ok(()),
            CallResult::Returned(Err(error)) => Err(Failure::Error(Arc::new(error))),
            CallResult::Panicked(message) => Err(Failure::Panicked(message)),
        };
        self.outcome.send_replace(Some(outcome));
    }

    /// Records that the application was not called, as the server rejected the request.
    pub(super) fn rejected(&self, note: String) {
        self.note(note);
        self.outcome.send_replace(Some(Ok(())));
    }

    /// Records that the call was dropped, unless it has ended.
    pub(super) fn dropped(&self) {
        if !self.is_ended() {
            self.note("the grace period has passed: the call is dropped");
            self.outcome.send_replace(Some(Err(Failure::OutOfGrace)));
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// Waits until the call has ended.
    pub(super) async fn outcome(&self) -> Result<(), Failure> {
        let mut outcome = self.outcome.subscribe();
        let outcome = outcome.wait_for(Option::is_some).await;
        let outcome = outcome.expect("the sender is borrowed from `self`");
        outcome.clone().expect("waited for")
    }
}
