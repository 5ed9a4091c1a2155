//! The application's lifespan: started before the first connection, shut down after the last.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use callgate::conversation::{LifespanConversation, LifespanPhase};
use callgate::{
    AppError, AppFuture, BoxApp, Channel, LifespanScope, ReceiveEvent, Receiver, SendError,
    SendEvent, Sender, State,
};

use crate::call::{Outcome, poll_caught};
use crate::config;
use crate::sync::{Mutex, register, wake};

/// A lifespan whose start-up is complete, or that the application does without.
pub(crate) struct Lifespan {
    /// None once the call has ended.
    call: Option<AppFuture>,
    mailbox: Arc<Mailbox>,
}

/// Runs the application's start-up. The error says why it failed.
pub(crate) async fn start(
    app: &BoxApp,
    mode: config::Lifespan,
) -> Result<(Option<Lifespan>, State), String> {
    if mode == config::Lifespan::Off {
        return Ok((None, State::new()));
    }
    let mailbox = Arc::new(Mailbox::new());
    let mut call = Some(app.call_boxed(
        LifespanScope::new().into(),
        Receiver::new(mailbox.clone()),
        Sender::new(mailbox.clone()),
    ));
    let ended = poll_fn(|cx| mailbox.poll_with(cx, &mut call, Answers::startup)).await;
    let answer = match ended {
        Ended::Answered(answer) => answer,
        Ended::Call(Outcome::Returned(Err(AppError::Unsupported))) => {
            return if mode == config::Lifespan::On {
                Err(
                    "the application does not serve lifespan, which `--lifespan on` asks for"
                        .into(),
                )
            } else {
                tracing::debug!("the application does not serve lifespan");
                Ok((None, State::new()))
            };
        }
        Ended::Call(outcome) => return Err(mailbox.describe(outcome)),
    };
    match answer {
        Ok(state) => Ok((Some(Lifespan { call, mailbox }), state)),
        Err(message) => Err(message),
    }
}

impl Lifespan {
    /// Runs the call on while the server serves. Ends only if the call does, which is the
    /// application's mistake, but no reason not to serve (rule `LIFE-11`); the error says how.
    pub(crate) async fn run(&mut self) -> Result<(), String> {
        let Some(call) = &mut self.call else {
            return std::future::pending().await;
        };
        let outcome = poll_fn(|cx| poll_caught(call, cx)).await;
        self.call = None;
        self.mailbox.ended(outcome).map(|()| {
            tracing::warn!("the application's lifespan call has ended before the shutdown");
        })
    }

    /// Runs the application's shutdown. The error says why it failed.
    pub(crate) async fn shutdown(&mut self) -> Result<(), String> {
        if self.call.is_none() {
            return Ok(());
        }
        self.mailbox.shut_down();
        let (mailbox, call) = (&self.mailbox, &mut self.call);
        match poll_fn(|cx| mailbox.poll_with(cx, call, Answers::shutdown)).await {
            Ended::Answered(answer) => answer,
            Ended::Call(outcome) => Err(mailbox.describe(outcome)),
        }
    }
}

/// How waiting for an answer ended.
enum Ended<T> {
    Answered(Result<T, String>),
    /// The call ended without one.
    Call(Outcome),
}

/// What the application and the server share of the lifespan.
struct Mailbox(Mutex<Inner>);

struct Inner {
    conversation: LifespanConversation,
    /// The next event to be received.
    next: Option<ReceiveEvent>,
    answers: Answers,
    receiver: Option<Waker>,
    server: Option<Waker>,
}

#[derive(Default)]
struct Answers {
    startup: Option<Result<State, String>>,
    shutdown: Option<Result<(), String>>,
}

impl Answers {
    fn startup(&mut self) -> Option<Result<State, String>> {
        self.startup.take()
    }

    fn shutdown(&mut self) -> Option<Result<(), String>> {
        self.shutdown.take()
    }
}

impl Mailbox {
    fn new() -> Self {
        Self(Mutex::new(Inner {
            conversation: LifespanConversation::new(),
            next: Some(ReceiveEvent::LifespanStartup),
            answers: Answers::default(),
            receiver: None,
            server: None,
        }))
    }

    /// Polls the call until it has answered or ended.
    fn poll_with<T>(
        &self,
        cx: &mut Context<'_>,
        call: &mut Option<AppFuture>,
        answer: fn(&mut Answers) -> Option<Result<T, String>>,
    ) -> Poll<Ended<T>> {
        let outcome = match call {
            Some(running) => poll_caught(running, cx),
            None => Poll::Pending,
        };
        if outcome.is_ready() {
            *call = None;
        }
        let mut inner = self.0.lock();
        if let Some(answer) = answer(&mut inner.answers) {
            return Poll::Ready(Ended::Answered(answer));
        }
        if let LifespanPhase::Broken(violation) = inner.conversation.phase() {
            return Poll::Ready(Ended::Answered(Err(violation.to_string())));
        }
        register(&mut inner.server, cx.waker());
        outcome.map(Ended::Call)
    }

    fn shut_down(&self) {
        let mut inner = self.0.lock();
        inner.next = Some(ReceiveEvent::LifespanShutdown);
        wake(&mut inner.receiver);
    }

    /// Why the call ended without the answer that it owed.
    fn describe(&self, outcome: Outcome) -> String {
        match self.ended(outcome) {
            Ok(()) => "the application's lifespan call ended without an answer".into(),
            Err(reason) => reason,
        }
    }

    fn ended(&self, outcome: Outcome) -> Result<(), String> {
        let returned = self.0.lock().conversation.returned();
        match outcome {
            Outcome::Returned(Ok(())) => returned.map_err(|violation| violation.to_string()),
            Outcome::Returned(Err(error)) => Err(error.to_string()),
            Outcome::Panicked(message) => Err(format!("the application panicked: {message}")),
        }
    }
}

impl Channel for Mailbox {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let mut inner = self.0.lock();
        match inner.next.take() {
            Some(event) => {
                if event == ReceiveEvent::LifespanShutdown {
                    inner.conversation.shutdown_received();
                }
                Poll::Ready(event)
            }
            None => {
                register(&mut inner.receiver, cx.waker());
                Poll::Pending
            }
        }
    }

    fn poll_send(
        &self,
        _: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let mut inner = self.0.lock();
        let sent = event.as_ref().expect("an event to send");
        let result = inner.conversation.send(sent);
        if result.is_ok() {
            match event.take() {
                Some(SendEvent::LifespanStartupComplete(complete)) => {
                    inner.answers.startup = Some(Ok(complete.state));
                }
                Some(SendEvent::LifespanStartupFailed { message }) => {
                    inner.answers.startup = Some(Err(message));
                }
                Some(SendEvent::LifespanShutdownComplete) => inner.answers.shutdown = Some(Ok(())),
                Some(SendEvent::LifespanShutdownFailed { message }) => {
                    inner.answers.shutdown = Some(Err(message));
                }
                _ => {}
            }
        }
        wake(&mut inner.server);
        Poll::Ready(result)
    }
}
