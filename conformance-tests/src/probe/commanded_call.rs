//! A call of the probe, which takes the commanded steps and sends the messages about them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use callgate::{
    AppError, PendingSend, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress, Sender,
    State,
};
use http::Extensions;
use tokio::sync::mpsc::UnboundedReceiver;

use super::protocol::{ProbeCallEnd, ProbeCommand, ProbeMessage, Step};
use super::suite_connection::SuiteConnection;

pub(super) struct CommandedCall {
    call: u64,
    connection: SuiteConnection,
    receiver: Receiver,
    sender: Sender,
    state: State,
    extensions: Extensions,
    /// Receives that were commanded, in order. The first is in progress.
    receiving: VecDeque<OutstandingReceive>,
    /// Sends that are in progress.
    sending: Vec<OutstandingSend>,
    last_error: Option<SendError>,
    has_ended: bool,
}

struct OutstandingReceive {
    step: Option<u64>,
    to_the_end: bool,
}

struct OutstandingSend {
    step: Option<u64>,
    progress: OutstandingProgress,
}

/// The progress of an outstanding send.
enum OutstandingProgress {
    /// The channel has no room for the event, or was not asked.
    Waiting(Option<SendEvent>),
    /// The channel has taken the event, and prepares it.
    Pending(PendingSend),
}

impl OutstandingSend {
    fn poll(&mut self, sender: &Sender, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if let OutstandingProgress::Waiting(event) = &mut self.progress {
            ready!(sender.poll_ready(cx));
            let event = event.take().expect("present until it is sent");
            match sender.start_send(event) {
                Ok(SendProgress::Sent) => return Poll::Ready(Ok(())),
                Ok(SendProgress::Pending(pending)) => {
                    self.progress = OutstandingProgress::Pending(pending);
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        match &mut self.progress {
            OutstandingProgress::Pending(pending) => pending.as_mut().poll(cx),
            OutstandingProgress::Waiting(_) => Poll::Pending,
        }
    }
}

/// The texts that steps put into the state or the extensions.
#[derive(Clone, Debug)]
pub(super) struct Texts(pub(super) Vec<String>);

impl CommandedCall {
    pub(super) fn new(
        call: u64,
        connection: SuiteConnection,
        receiver: Receiver,
        sender: Sender,
        state: State,
        extensions: Extensions,
    ) -> Self {
        Self {
            call,
            connection,
            receiver,
            sender,
            state,
            extensions,
            receiving: VecDeque::new(),
            sending: Vec::new(),
            last_error: None,
            has_ended: false,
        }
    }

    /// Takes `steps` one after the other, and then the commanded steps until one ends the call.
    pub(super) async fn run(
        mut self,
        steps: Vec<Step>,
        mut commands: UnboundedReceiver<ProbeCommand>,
    ) -> Result<(), AppError> {
        for step in steps {
            if let Some(result) = self.begin(None, step) {
                return result;
            }
            poll_fn(|cx| {
                self.poll_work(cx);
                match self.receiving.is_empty() && self.sending.is_empty() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
        }
        loop {
            let command = poll_fn(|cx| {
                self.poll_work(cx);
                commands.poll_recv(cx)
            })
            .await;
            let Some(ProbeCommand { step, what, .. }) = command else {
                return Err(AppError::failed("the suite is gone"));
            };
            if let Some(result) = self.begin(Some(step), what) {
                return result;
            }
        }
    }

    /// Begins a step. Returns the result of the call if the step ends the call.
    fn begin(&mut self, step: Option<u64>, what: Step) -> Option<Result<(), AppError>> {
        let result = match what {
            Step::Receive | Step::ReceiveBody => {
                self.receiving.push_back(OutstandingReceive {
                    step,
                    to_the_end: matches!(what, Step::ReceiveBody),
                });
                return None;
            }
            Step::Send(_) | Step::SendLast(_) => {
                let event = Some(self.with_state(what.event()?));
                let progress = OutstandingProgress::Waiting(event);
                self.sending.push(OutstandingSend { step, progress });
                return None;
            }
            Step::SendAtOnce(events) => {
                for event in events {
                    let (call, connection, sender) =
                        (self.call, self.connection.clone(), self.sender.clone());
                    tokio::spawn(async move {
                        let outcome = sender.send(event).await.into();
                        connection.send_message(ProbeMessage::Sent {
                            call,
                            step,
                            outcome,
                        });
                    });
                }
                return None;
            }
            Step::Fence => return self.done(step, Vec::new()),
            Step::KeepSender => {
                self.connection.keep(self.call, self.sender.clone());
                return self.done(step, Vec::new());
            }
            Step::PutState(text) => {
                let mut texts = texts(self.state.get());
                texts.push(text);
                self.state.insert(Texts(texts));
                return self.done(step, Vec::new());
            }
            Step::TellState => return self.done(step, texts(self.state.get())),
            Step::PutExtension(text) => {
                let mut texts = texts(self.extensions.get());
                texts.push(text);
                self.extensions.insert(Texts(texts));
                return self.done(step, Vec::new());
            }
            Step::TellExtensions => return self.done(step, texts(self.extensions.get())),
            Step::Return => Ok(()),
            Step::Decline => Err(AppError::Unsupported),
            Step::Fail(message) => Err(AppError::failed(message)),
            Step::FailAsSent => Err(match self.last_error.take() {
                Some(error) => error.into(),
                None => AppError::failed("no send has failed"),
            }),
            Step::FailDisconnected => Err(SendError::Disconnected.into()),
            Step::Panic(message) => {
                self.end();
                // Without the panic hook, which may take long to print a backtrace.
                std::panic::resume_unwind(Box::new(message));
            }
        };
        self.end();
        Some(result)
    }

    fn done<T>(&self, step: Option<u64>, texts: Vec<String>) -> Option<T> {
        let call = self.call;
        self.connection
            .send_message(ProbeMessage::Done { call, step, texts });
        None
    }

    fn end(&mut self) {
        self.has_ended = true;
        self.connection.end(self.call, ProbeCallEnd::AsCommanded);
    }

    /// Adds the state to the completed start-up: the event that came as JSON has none.
    fn with_state(&self, event: SendEvent) -> SendEvent {
        match event {
            SendEvent::LifespanStartupComplete(mut complete) => {
                complete.state = self.state.clone();
                complete.into()
            }
            event => event,
        }
    }

    /// Polls the receives and sends that are in progress, and tells the suite of those that have ended.
    fn poll_work(&mut self, cx: &mut Context<'_>) {
        while let Some(receive) = self.receiving.front() {
            let Poll::Ready(event) = self.receiver.poll_receive(cx) else {
                break;
            };
            let has_ended_step = !receive.to_the_end || is_last(&event);
            self.connection.send_message(ProbeMessage::Received {
                call: self.call,
                step: receive.step,
                event,
            });
            if has_ended_step {
                self.receiving.pop_front();
            }
        }
        let (call, connection, sender) = (self.call, &self.connection, &self.sender);
        let last_error = &mut self.last_error;
        self.sending.retain_mut(|sending| {
            let Poll::Ready(result) = sending.poll(sender, cx) else {
                return true;
            };
            if let Err(error) = &result {
                *last_error = Some(error.clone());
            }
            connection.send_message(ProbeMessage::Sent {
                call,
                step: sending.step,
                outcome: result.into(),
            });
            false
        });
    }
}

/// Returns the texts that earlier steps put in.
fn texts(found: Option<&Texts>) -> Vec<String> {
    found.map(|texts| texts.0.clone()).unwrap_or_default()
}

/// Returns whether no content follows the event.
fn is_last(event: &ReceiveEvent) -> bool {
    !matches!(event, ReceiveEvent::HttpRequestBody(request) if request.more_body)
}

impl Drop for CommandedCall {
    fn drop(&mut self) {
        if !self.has_ended {
            self.connection.end(self.call, ProbeCallEnd::Dropped);
        }
    }
}
