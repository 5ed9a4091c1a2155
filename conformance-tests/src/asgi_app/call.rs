//! One call of an application of ASGI.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use callgate::message::is_hop_by_hop;
use callgate::{
    AppError, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender, Violation, rule,
};
use http::HeaderMap;
use serde_json::Value;

use super::host_process::HostProcess;
use super::message::{HostCallEnd, HostCommand, HostMessage, SendFailure, event_form, scope_form};
use super::{DeclinedStartup, lock};
use crate::driver::ProcessEnded;
use crate::model::{ExchangePhase, Model};
use crate::scope_kind::ScopeKind;

/// One call: passes what the application receives and sends on, as a server of ASGI does.
///
/// What ASGI leaves to a server is settled here:
///
/// - A message after the end of a response is ignored. A message after the end of a WebSocket fails as to a client
///   that is gone.
/// - The fields of the connection are removed from the head of a response.
/// - An exception declines a lifespan if the application has sent nothing, and a WebSocket or an unknown kind of scope if
///   it has received nothing either. Any other exception is a failure of the call.
/// - An event that the serialised form cannot hold fails, and the call ends with the rule that this breaks.
pub(super) struct AsgiCall {
    process: Arc<HostProcess>,
    call: u64,
    scope_name: String,
    kind: ScopeKind,
    model: Model,
    receiver: Receiver,
    sender: Sender,
    waiting_receives: usize,
    sends: VecDeque<PendingSend>,
    has_received: bool,
    has_sent: bool,
    /// The first rule that was broken without an event.
    fault: Option<Violation>,
    declined_startup: DeclinedStartup,
}

/// A send of the application that has not ended.
struct PendingSend {
    number: u64,
    event: SendEvent,
    /// `None` before the event is sent on.
    sending: Option<Sending>,
}

type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;

impl AsgiCall {
    /// Begins the call.
    pub(super) fn new(
        process: Arc<HostProcess>,
        scope: &Scope,
        receiver: Receiver,
        sender: Sender,
        declined_startup: DeclinedStartup,
    ) -> Self {
        let call = process.begin(scope_form(scope));
        Self {
            process,
            call,
            scope_name: scope.type_name().to_owned(),
            kind: ScopeKind::of(scope),
            model: Model::new(scope),
            receiver,
            sender,
            waiting_receives: 0,
            sends: VecDeque::new(),
            has_received: false,
            has_sent: false,
            fault: None,
            declined_startup,
        }
    }

    /// Handles a message of the host. Returns the result of the call if that ends it.
    fn on_message(&mut self, message: HostMessage) -> Option<Result<(), AppError>> {
        match message {
            HostMessage::Receive { .. } => self.waiting_receives += 1,
            HostMessage::Send { send, event, .. } => self.on_send(send, event),
            HostMessage::Fault { rule, detail, .. } => {
                let rule = rule::by_id(&rule).unwrap_or(rule::FOREIGN_EVENT);
                self.note_fault(Violation::new(rule, detail));
            }
            HostMessage::Ended { how, error, .. } => {
                self.process.forget(self.call);
                return Some(self.result(how, error));
            }
            HostMessage::Loaded | HostMessage::Unloadable { .. } | HostMessage::Idle { .. } => {}
        }
        None
    }

    fn on_send(&mut self, number: u64, event: Value) {
        self.has_sent = true;
        let name = event["type"].as_str().unwrap_or_default().to_owned();
        match serde_json::from_value(event) {
            Ok(event) => self.sends.push_back(PendingSend {
                number,
                event: without_connection_fields(event),
                sending: None,
            }),
            // A header field that HTTP does not permit, for example.
            Err(error) => {
                let reason = format!("`{name}` is invalid: {error}");
                self.note_fault(Violation::new(rule::FOREIGN_EVENT, reason.clone()));
                self.settle(number, Some(SendFailure::Refused { reason }));
            }
        }
    }

    fn note_fault(&mut self, fault: Violation) {
        self.has_sent = true;
        self.fault.get_or_insert(fault);
    }

    fn result(&mut self, how: HostCallEnd, error: String) -> Result<(), AppError> {
        if how == HostCallEnd::Exited {
            std::panic::resume_unwind(Box::new(ProcessEnded(format!("by {error}"))));
        }
        if let Some(fault) = self.fault.take() {
            return Err(SendError::Violation(fault).into());
        }
        let is_declined = match self.kind {
            ScopeKind::Lifespan => !self.has_sent,
            ScopeKind::WebSocket | ScopeKind::Unknown => !self.has_sent && !self.has_received,
            ScopeKind::Http => false,
        };
        match how {
            HostCallEnd::Disconnected => Err(SendError::Disconnected.into()),
            HostCallEnd::Raised if is_declined => {
                if self.kind == ScopeKind::Lifespan && self.has_received {
                    lock(&self.declined_startup).get_or_insert(error);
                }
                Err(AppError::Unsupported)
            }
            HostCallEnd::Raised => Err(AppError::failed(error)),
            HostCallEnd::Returned | HostCallEnd::Exited => Ok(()),
        }
    }

    fn settle(&self, send: u64, failure: Option<SendFailure>) {
        self.process.command(&HostCommand::Settle {
            call: self.call,
            send,
            failure,
        });
    }

    /// Sends what the application has sent. Returns whether a send has ended.
    fn poll_sends(&mut self, cx: &mut Context<'_>) -> bool {
        let has_ended = self.model.phase() == ExchangePhase::Ended;
        for index in 0..self.sends.len() {
            let pending = &mut self.sends[index];
            let number = pending.number;
            let result = match &mut pending.sending {
                None if has_ended && self.kind == ScopeKind::Http => Ok(()),
                None if has_ended && self.kind == ScopeKind::WebSocket => {
                    Err(SendError::Disconnected)
                }
                sending => {
                    let sending = sending.get_or_insert_with(|| {
                        let (sender, event) = (self.sender.clone(), pending.event.clone());
                        Box::pin(async move { sender.send(event).await })
                    });
                    let Poll::Ready(result) = sending.as_mut().poll(cx) else {
                        continue;
                    };
                    self.model.sent(&pending.event, &result);
                    result
                }
            };
            self.sends.remove(index);
            self.settle(number, result.err().map(SendFailure::from));
            return true;
        }
        false
    }

    /// Delivers an event that the application waits for. Returns whether there was one.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waiting_receives == 0 {
            return false;
        }
        let event = match self.kind {
            // ASGI permits an exception after this event too.
            ScopeKind::Unknown => ReceiveEvent::Unknown(self.scope_name.as_str().into()),
            _ => match self.receiver.poll_receive(cx) {
                Poll::Ready(event) => event,
                Poll::Pending => return false,
            },
        };
        self.waiting_receives -= 1;
        self.has_received |= self.kind != ScopeKind::Unknown;
        self.model.received(&event);
        self.process.command(&HostCommand::Deliver {
            call: self.call,
            event: event_form(&event),
        });
        true
    }
}

impl Future for AsgiCall {
    type Output = Result<(), AppError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match this.process.next_message(this.call, cx.waker()) {
                Ok(Some(message)) => {
                    if let Some(result) = this.on_message(message) {
                        return Poll::Ready(result);
                    }
                }
                Ok(None) if this.poll_sends(cx) || this.poll_receive(cx) => {}
                Ok(None) => return Poll::Pending,
                Err(how) => std::panic::resume_unwind(Box::new(ProcessEnded(how))),
            }
        }
    }
}

impl Drop for AsgiCall {
    fn drop(&mut self) {
        self.process.cancel(self.call);
    }
}

/// Returns the event without the fields that a server removes or sets itself.
fn without_connection_fields(mut event: SendEvent) -> SendEvent {
    let headers = match &mut event {
        SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start) => {
            &mut start.headers
        }
        SendEvent::WebSocketAccept(accept) => &mut accept.headers,
        _ => return event,
    };
    if headers.keys().any(is_hop_by_hop) {
        let kept = headers.iter().filter(|(name, _)| !is_hop_by_hop(name));
        *headers = kept
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<HeaderMap>();
    }
    event
}
