//! An application around an application, which writes down what passes between them.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use callgate::{
    App, AppError, Channel, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender,
};

use crate::lint::panic_message;
use crate::recording::{Ended, Line, failure};

/// Writes the scope and the events of every exchange, in both directions, as JSON Lines: for
/// [`replay`](crate::replay), or to be read. The format stands in the README of this crate.
///
/// The writer is written to while the application waits, a line at a time, and flushed at the end
/// of each exchange: give one with a buffer. When it fails, that is logged, and nothing more is
/// recorded; the exchanges go on.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_conformance::Recorder;
///
/// async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
///     Err(AppError::Unsupported)
/// }
/// # let file = Vec::new();
/// let app = Recorder::new(app, file);
/// ```
pub struct Recorder<A> {
    app: A,
    tape: Tape,
}

/// What all exchanges are written to.
#[derive(Clone)]
struct Tape(Arc<Mutex<Reel>>);

struct Reel {
    /// None once it has failed.
    writer: Option<Box<dyn Write + Send>>,
    exchanges: u64,
}

impl<A> Recorder<A> {
    /// Records `app` to `writer`.
    pub fn new(app: A, writer: impl Write + Send + 'static) -> Self {
        Self {
            app,
            tape: Tape(Arc::new(Mutex::new(Reel {
                writer: Some(Box::new(writer)),
                exchanges: 0,
            }))),
        }
    }
}

impl Tape {
    fn next_exchange(&self) -> u64 {
        let mut reel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reel.exchanges += 1;
        reel.exchanges
    }

    fn write(&self, line: &Line) {
        let mut text = match serde_json::to_vec(line) {
            Ok(text) => text,
            // Kinds of scope and events of a later version have no serialised form.
            Err(error) => {
                tracing::debug!("not recorded: {error}");
                return;
            }
        };
        text.push(b'\n');
        let mut reel = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = &mut reel.writer else {
            return;
        };
        let written = writer.write_all(&text).and_then(|()| match line.ended {
            Some(_) => writer.flush(),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::error!("the recording has ended: {error}");
            reel.writer = None;
        }
    }
}

impl<A: App> App for Recorder<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let tap = Arc::new(Tap {
            receiving: receiver.into_channel(),
            sending: sender.into_channel(),
            exchange: self.tape.next_exchange(),
            tape: self.tape.clone(),
            turn: Mutex::new(()),
        });
        tap.write(Line {
            called: Some(scope.clone()),
            ..Line::default()
        });
        let mut guard = Guard(Some(&tap));
        let call = self
            .app
            .call(scope, Receiver::new(tap.clone()), Sender::new(tap.clone()));
        let mut call = pin!(call);
        poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            let (ended, error) = match &polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(result)) => (
                    Ended::from(result),
                    result.as_ref().err().map(ToString::to_string),
                ),
                Err(panic) => (Ended::Panicked, Some(panic_message(&**panic))),
            };
            guard.0 = None;
            tap.end(ended, error);
            polled.unwrap_or_else(|panic| resume_unwind(panic))
        })
        .await
    }
}

impl<A> fmt::Debug for Recorder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Notes that a call was dropped.
struct Guard<'a>(Option<&'a Tap>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(tap) = self.0 {
            tap.end(Ended::Dropped, None);
        }
    }
}

struct Tap {
    receiving: Arc<dyn Channel>,
    sending: Arc<dyn Channel>,
    exchange: u64,
    tape: Tape,
    /// Held while the channel outside is polled, so that lines stand in the order of what happened.
    turn: Mutex<()>,
}

impl Tap {
    fn write(&self, line: Line) {
        self.tape.write(&Line {
            exchange: self.exchange,
            ..line
        });
    }

    fn end(&self, ended: Ended, error: Option<String>) {
        self.write(Line {
            ended: Some(ended),
            error,
            ..Line::default()
        });
    }
}

impl Channel for Tap {
    fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let event = ready!(self.receiving.poll_receive(cx));
        self.write(Line {
            received: Some(event.clone()),
            ..Line::default()
        });
        Poll::Ready(event)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        event: &mut Option<SendEvent>,
    ) -> Poll<Result<(), SendError>> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = event.clone();
        let result = ready!(self.sending.poll_send(cx, event));
        self.write(Line {
            sent,
            failed: result.as_ref().err().map(failure),
            ..Line::default()
        });
        Poll::Ready(result)
    }
}
