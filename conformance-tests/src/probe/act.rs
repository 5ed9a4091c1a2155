//! One call of the probe: it does the steps and tells what came of them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use callgate::{
    AppError, PendingSend, ReceiveEvent, Receiver, SendError, SendEvent, SendProgress, Sender,
    State,
};
use tokio::sync::mpsc::UnboundedReceiver;

use super::link::Link;
use super::protocol::{Command, End, Step, Told};

pub(super) struct Call {
    call: u64,
    link: Link,
    receiver: Receiver,
    sender: Sender,
    state: State,
    /// Receives that were asked for, in order: the first one is under way.
    receiving: VecDeque<Receive>,
    /// Sends that are under way.
    sending: Vec<Sending>,
    last_error: Option<SendError>,
    has_ended: bool,
}

struct Receive {
    step: Option<u64>,
    to_the_end: bool,
}

struct Sending {
    step: Option<u64>,
    event: Option<SendEvent>,
    /// The rest of the send once the channel has taken the event.
    rest: Option<PendingSend>,
}

impl Sending {
    fn poll(&mut self, sender: &Sender, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.event.is_some() {
            ready!(sender.poll_ready(cx));
        }
        if let Some(event) = self.event.take() {
            match sender.start_send(event) {
                Ok(SendProgress::Sent) => return Poll::Ready(Ok(())),
                Ok(SendProgress::Pending(rest)) => self.rest = Some(rest),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        let rest = self.rest.as_mut().expect("a send that has begun");
        rest.as_mut().poll(cx)
    }
}

/// What the scopes of the probe share, and what one puts into its own.
#[derive(Debug)]
pub(super) struct Texts(pub(super) Vec<String>);

impl Call {
    pub(super) fn new(
        call: u64,
        link: Link,
        receiver: Receiver,
        sender: Sender,
        state: State,
    ) -> Self {
        Self {
            call,
            link,
            receiver,
            sender,
            state,
            receiving: VecDeque::new(),
            sending: Vec::new(),
            last_error: None,
            has_ended: false,
        }
    }

    /// Does `steps` one after the other, and then what is commanded until one of it ends the call.
    pub(super) async fn run(
        mut self,
        steps: Vec<Step>,
        mut commands: UnboundedReceiver<Command>,
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
            let Some(Command { step, what, .. }) = command else {
                return Err(AppError::failed("the suite is gone"));
            };
            if let Some(result) = self.begin(Some(step), what) {
                return result;
            }
        }
    }

    /// Begins a step; the result of the call if that ends it.
    fn begin(&mut self, step: Option<u64>, what: Step) -> Option<Result<(), AppError>> {
        let result = match what {
            Step::Receive | Step::ReceiveBody => {
                self.receiving.push_back(Receive {
                    step,
                    to_the_end: matches!(what, Step::ReceiveBody),
                });
                return None;
            }
            Step::Send(_) | Step::SendLast(_) => {
                let event = Some(self.with_texts(what.event()?));
                self.sending.push(Sending {
                    step,
                    event,
                    rest: None,
                });
                return None;
            }
            Step::SendAtOnce(events) => {
                for event in events {
                    let (call, link, sender) = (self.call, self.link.clone(), self.sender.clone());
                    tokio::spawn(async move {
                        let outcome = sender.send(event).await.into();
                        link.tell(Told::Sent {
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
                self.link.keep(self.call, self.sender.clone());
                return self.done(step, Vec::new());
            }
            Step::PutState(text) => {
                let mut texts = self.texts();
                texts.push(text);
                self.state.insert(Texts(texts));
                return self.done(step, Vec::new());
            }
            Step::TellState => {
                let texts = self.texts();
                return self.done(step, texts);
            }
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
                // Past the hook, which may take its time to print a backtrace.
                std::panic::resume_unwind(Box::new(message));
            }
        };
        self.end();
        Some(result)
    }

    fn done<T>(&self, step: Option<u64>, texts: Vec<String>) -> Option<T> {
        let call = self.call;
        self.link.tell(Told::Done { call, step, texts });
        None
    }

    fn end(&mut self) {
        self.has_ended = true;
        self.link.end(self.call, End::AsTold);
    }

    fn texts(&self) -> Vec<String> {
        let texts = self.state.get::<Texts>();
        texts.map(|texts| texts.0.clone()).unwrap_or_default()
    }

    /// State has no serialised form: what was put into it goes along with the completed start-up.
    fn with_texts(&self, event: SendEvent) -> SendEvent {
        match event {
            SendEvent::LifespanStartupComplete(mut complete) => {
                complete.state = self.state.clone();
                complete.into()
            }
            event => event,
        }
    }

    /// Goes on with what is under way, and tells what is through.
    fn poll_work(&mut self, cx: &mut Context<'_>) {
        while let Some(receive) = self.receiving.front() {
            let Poll::Ready(event) = self.receiver.poll_receive(cx) else {
                break;
            };
            let is_through = !receive.to_the_end || is_last(&event);
            self.link.tell(Told::Received {
                call: self.call,
                step: receive.step,
                event,
            });
            if is_through {
                self.receiving.pop_front();
            }
        }
        let (call, link, sender) = (self.call, &self.link, &self.sender);
        let last_error = &mut self.last_error;
        self.sending.retain_mut(|sending| {
            let Poll::Ready(result) = sending.poll(sender, cx) else {
                return true;
            };
            if let Err(error) = &result {
                *last_error = Some(error.clone());
            }
            link.tell(Told::Sent {
                call,
                step: sending.step,
                outcome: result.into(),
            });
            false
        });
    }
}

/// Whether no more content follows.
fn is_last(event: &ReceiveEvent) -> bool {
    !matches!(event, ReceiveEvent::HttpRequestBody(request) if request.more_body)
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.has_ended {
            self.link.end(self.call, End::Dropped);
        }
    }
}
