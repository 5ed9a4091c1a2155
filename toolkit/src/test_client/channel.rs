//! The application's end of an exchange, whose events are recorded.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use callgate::transcript::Entry;
use callgate::{
    App, AppError, BoxApp, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender,
};
use callgate_drive::panic_message;
use futures_util::FutureExt as _;

use super::record::Record;

/// An application one call of which is recorded.
pub(super) struct RecordedApp {
    app: BoxApp,
    record: Arc<Record>,
}

impl RecordedApp {
    pub(super) fn new(app: BoxApp, record: Arc<Record>) -> Self {
        Self { app, record }
    }
}

impl App for RecordedApp {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        self.record.push(Entry::Called(scope.clone()));
        let channel = Arc::new(ExchangeChannel {
            receiving: receiver.into_channel(),
            sending: sender.into_channel(),
            record: self.record.clone(),
            order: Mutex::new(()),
        });
        let (receiver, sender) = (Receiver::new(channel.clone()), Sender::new(channel));
        let call = AssertUnwindSafe(self.app.call(scope, receiver, sender));
        match call.catch_unwind().await {
            Ok(result) => {
                let outcome = result.as_ref().copied().map_err(ToString::to_string);
                self.record.push(Entry::Returned(outcome));
                result
            }
            Err(panic) => {
                self.record.push(Entry::Panicked(panic_message(&*panic)));
                resume_unwind(panic)
            }
        }
    }
}

/// A channel that records the events on their way to and from another channel, each once.
struct ExchangeChannel {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    record: Arc<Record>,
    /// Held while an event is sent, so that events of several tasks are recorded in the order in
    /// which the server takes them.
    order: Mutex<()>,
}

impl Channel for ExchangeChannel {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let event = ready!(self.receiving.poll_receive(cx));
        self.record.push(Entry::Received(event.clone()));
        Poll::Ready(event)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sending.poll_ready(cx)
    }

    fn start_send(&self, event: SendEvent) -> Result<SendProgress, SendError> {
        let _order = self.order.lock().unwrap();
        let result = match self.sending.start_send(event.clone()) {
            Ok(SendProgress::Pending(rest)) => {
                let record = self.record.clone();
                return Ok(SendProgress::Pending(Box::pin(async move {
                    let result = rest.await;
                    record.sent(event, result.clone());
                    result
                })));
            }
            Ok(SendProgress::Sent) => Ok(()),
            Err(error) => Err(error),
        };
        self.record.sent(event, result.clone());
        result.map(|()| SendProgress::Sent)
    }
}
