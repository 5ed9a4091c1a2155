//! A middleware that records exchanges.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use callgate::{App, AppError, ReceiveEvent, Receiver, Scope, SendError, SendEvent, Sender};

use super::record_line::RecordLine;
use crate::observe::{ExchangeObserver, ObservedEnd, call_observed};

/// A middleware that writes the scope and the events of every exchange, in both directions, as JSON
/// Lines. [`replay`](crate::replay()) reads them. The README of this crate describes the format.
///
/// The values of `authorization`, `cookie`, `proxy-authorization` and `set-cookie`, and every value
/// that is [marked as sensitive](http::HeaderValue::is_sensitive), are written as
/// [`<masked>`](crate::MASKED), in header and in trailer fields, unless
/// [`with_credentials`](Self::with_credentials) is set. Targets, content and messages are written as
/// they are: write them to a [`RecordFile`](crate::RecordFile), which other users cannot read.
///
/// The recorder writes a line at a time, in the task of the application, and flushes the writer at
/// the end of each exchange; the writer should have a buffer. When a write fails, the recorder logs
/// the error and records nothing more. The exchanges continue.
///
/// ```
/// use callgate::{AppError, Receiver, Scope, Sender};
/// use callgate_conformance::Recorder;
///
/// async fn app(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
///     Err(AppError::Unsupported)
/// }
/// let app = Recorder::new(app, std::io::stdout());
/// ```
pub struct Recorder<A> {
    app: A,
    has_credentials: bool,
    output: RecordOutput,
}

/// The writer of all exchanges. Clones share it.
#[derive(Clone)]
struct RecordOutput(Arc<Mutex<OutputState>>);

struct OutputState {
    /// `None` after a write has failed.
    writer: Option<Box<dyn Write + Send>>,
    /// The number of exchanges so far.
    exchanges: u64,
}

impl<A> Recorder<A> {
    /// Creates a recorder of `app` that writes to `writer`.
    pub fn new(app: A, writer: impl Write + Send + 'static) -> Self {
        Self {
            app,
            has_credentials: false,
            output: RecordOutput(Arc::new(Mutex::new(OutputState {
                writer: Some(Box::new(writer)),
                exchanges: 0,
            }))),
        }
    }

    /// Writes credentials as they are.
    #[must_use]
    pub fn with_credentials(mut self) -> Self {
        self.has_credentials = true;
        self
    }
}

impl RecordOutput {
    fn next_exchange(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.exchanges += 1;
        state.exchanges
    }

    fn write(&self, line: &RecordLine) {
        let mut text = match serde_json::to_vec(line) {
            Ok(text) => text,
            // Scopes and events of a later version have no serialised form.
            Err(error) => {
                tracing::debug!("not recorded: {error}");
                return;
            }
        };
        text.push(b'\n');
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = &mut state.writer else {
            return;
        };
        let written = writer.write_all(&text).and_then(|()| match line.ended {
            Some(_) => writer.flush(),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::error!("the recording has ended: {error}");
            state.writer = None;
        }
    }
}

impl<A: App> App for Recorder<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let exchange = ExchangeRecorder {
            number: self.output.next_exchange(),
            has_credentials: self.has_credentials,
            output: self.output.clone(),
        };
        exchange.write(RecordLine::called(exchange.number, &scope));
        call_observed(&self.app, scope, receiver, sender, exchange).await
    }
}

impl<A> fmt::Debug for Recorder<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// Writes the lines of one exchange.
struct ExchangeRecorder {
    number: u64,
    has_credentials: bool,
    output: RecordOutput,
}

impl ExchangeRecorder {
    fn write(&self, mut line: RecordLine) {
        if !self.has_credentials {
            line.mask_credentials();
        }
        self.output.write(&line);
    }
}

impl ExchangeObserver for ExchangeRecorder {
    type Attempt = SendEvent;

    fn received(&mut self, event: &ReceiveEvent) {
        self.write(RecordLine::received(self.number, event));
    }

    fn sending(&mut self, event: &SendEvent) -> SendEvent {
        event.clone()
    }

    fn sent(&mut self, event: SendEvent, result: &Result<(), SendError>) {
        self.write(RecordLine::sent(self.number, event, result));
    }

    fn ended(&mut self, end: ObservedEnd<'_>) {
        self.write(RecordLine::ended(self.number, end));
    }
}
