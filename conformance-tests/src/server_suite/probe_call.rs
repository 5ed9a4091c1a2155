//! The suite's end of a call of the probe: its commands and its messages.

use std::collections::VecDeque;
use std::time::Duration;

use callgate::{HttpScope, ReceiveEvent, Scope, SendEvent, WebSocketScope};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::case_log::CaseLog;
use super::model_observer::ModelObserver;
use super::result::{CaseResult, within};
use crate::Verdict;
use crate::probe::{ProbeCallEnd, ProbeCommand, ProbeMessage, SendOutcome, Step};

/// The call of the probe by the server.
#[derive(Debug)]
pub(super) struct Called {
    /// The number of the call in the server's process, from 0 on.
    pub(super) call: u64,
    pub(super) scope: Scope,
    /// The scope as the probe serialised it, with the keys that have no place in a [`Scope`].
    pub(super) raw_scope: Value,
    /// The target as the scope has it; none for lifespan.
    pub(super) target: Option<String>,
    /// The version of ASGI's HTTP & WebSocket format that the server says it speaks; none of a server
    /// of Callgate.
    pub(super) spec_version: Option<String>,
}

/// The application in one call, at the suite's command.
#[derive(Debug)]
pub(super) struct ProbeCall {
    called: Called,
    commands: UnboundedSender<ProbeCommand>,
    /// The messages of the probe; a failure in place of a malformed one.
    messages: UnboundedReceiver<CaseResult<ProbeMessage>>,
    /// Messages that came while a case waited for others.
    unclaimed: VecDeque<ProbeMessage>,
    observer: ModelObserver,
    next_step: u64,
    timeout: Duration,
}

impl ProbeCall {
    pub(super) fn new(
        called: Called,
        commands: UnboundedSender<ProbeCommand>,
        messages: UnboundedReceiver<CaseResult<ProbeMessage>>,
        log: CaseLog,
        timeout: Duration,
    ) -> Self {
        Self {
            observer: ModelObserver::new(&called.scope, log),
            called,
            commands,
            messages,
            unclaimed: VecDeque::new(),
            next_step: 0,
            timeout,
        }
    }

    /// Returns the scope.
    pub(super) fn scope(&self) -> &Scope {
        &self.called.scope
    }

    /// Returns the scope, which must be that of an HTTP request.
    pub(super) fn http(&self) -> CaseResult<&HttpScope> {
        match &self.called.scope {
            Scope::Http(scope) => Ok(scope),
            other => Err(Verdict::failed(format!(
                "the scope is of type `{}`, not `http`",
                other.type_name()
            ))),
        }
    }

    /// Returns the scope, which must be that of a WebSocket.
    pub(super) fn websocket(&self) -> CaseResult<&WebSocketScope> {
        match &self.called.scope {
            Scope::WebSocket(scope) => Ok(scope),
            other => Err(Verdict::failed(format!(
                "the scope is of type `{}`, not `websocket`",
                other.type_name()
            ))),
        }
    }

    /// Returns the number of the call in the server's process, from 0 on.
    pub(super) fn number(&self) -> u64 {
        self.called.call
    }

    /// Returns the target as the scope has it; empty for lifespan.
    pub(super) fn target(&self) -> &str {
        self.called.target.as_deref().unwrap_or_default()
    }

    /// Returns the decoded path as the server passed it.
    pub(super) fn decoded_path(&self) -> &str {
        self.called.raw_scope["path"].as_str().unwrap_or_default()
    }

    /// Returns the names of the header fields as the server passed them.
    pub(super) fn raw_field_names(&self) -> impl Iterator<Item = &str> {
        let fields = self.called.raw_scope["headers"].as_array();
        fields
            .into_iter()
            .flatten()
            .filter_map(|field| field[0].as_str())
    }

    /// Checks that the server speaks this version of ASGI's HTTP & WebSocket format, or a later one;
    /// a server of Callgate does.
    ///
    /// # Errors
    ///
    /// The case is not applicable otherwise.
    pub(super) fn expect_spec_version(&self, needed: &str) -> CaseResult {
        match &self.called.spec_version {
            Some(spoken) if version(spoken) < version(needed) => Err(Verdict::NotApplicable(
                format!("the server speaks version {spoken} of ASGI's HTTP & WebSocket format, the case needs {needed}").into(),
            )),
            _ => Ok(()),
        }
    }

    /// Waits until the connection of the probe has closed, as it does when the server's process ends.
    /// All messages have come by then.
    pub(super) async fn wait_for_process_end(&mut self) -> CaseResult {
        let closed = async {
            while let Some(message) = self.messages.recv().await {
                self.observer.observe(&message?);
            }
            Ok(())
        };
        within(self.timeout, "the end of the server's process", closed).await?
    }

    /// Waits for as long as it takes from here on.
    pub(super) fn wait_without_limit(&mut self) {
        self.set_timeout(Duration::MAX);
    }

    /// Waits this long for one thing from here on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Has the application begin a step. Returns the step's number, for the methods that wait for its
    /// messages.
    pub(super) fn begin(&mut self, what: Step) -> u64 {
        let step = self.next_step;
        self.next_step += 1;
        self.observer.command(step, &what);
        // Without a probe, the wait for the step's messages times out.
        let _ = self.commands.send(ProbeCommand {
            call: self.called.call,
            step,
            what,
        });
        step
    }

    /// Receives the next event.
    pub(super) async fn receive(&mut self) -> CaseResult<ReceiveEvent> {
        let step = self.begin(Step::Receive);
        self.received(Some(step)).await
    }

    /// Waits for the event that a step receives. A step that the request brought along has no number.
    pub(super) async fn received(&mut self, number: Option<u64>) -> CaseResult<ReceiveEvent> {
        self.wait_for("an event for the application", |message| match message {
            ProbeMessage::Received { step, event, .. } if *step == number => Some(event.clone()),
            _ => None,
        })
        .await
    }

    /// Sends an event, whatever the send results in.
    pub(super) async fn try_send(
        &mut self,
        event: impl Into<SendEvent>,
    ) -> CaseResult<SendOutcome> {
        let step = self.begin(Step::Send(event.into()));
        self.sent(Some(step)).await
    }

    /// Sends an event, which the server must take.
    pub(super) async fn send(&mut self, event: impl Into<SendEvent>) -> CaseResult {
        let event = event.into();
        let name = event.type_name();
        match self.try_send(event).await? {
            SendOutcome::Delivered => Ok(()),
            other => Err(Verdict::failed(format!(
                "sending `{name}` resulted in {other:?}"
            ))),
        }
    }

    /// Waits for the outcome of a step's send. A step that the request brought along has no number.
    pub(super) async fn sent(&mut self, number: Option<u64>) -> CaseResult<SendOutcome> {
        self.wait_for("the end of a send", |message| match message {
            ProbeMessage::Sent { step, outcome, .. } if *step == number => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    /// Has the application do a step that neither receives nor sends. Returns the texts of its
    /// message.
    pub(super) async fn act(&mut self, what: Step) -> CaseResult<Vec<String>> {
        let number = Some(self.begin(what));
        self.wait_for("a step of the application", |message| match message {
            ProbeMessage::Done { step, texts, .. } if *step == number => Some(texts.clone()),
            _ => None,
        })
        .await
    }

    /// Returns whether a step that receives or sends is still in progress. The messages of all that
    /// happened before have come by then.
    pub(super) async fn is_pending(&mut self, number: u64) -> CaseResult<bool> {
        self.act(Step::Fence).await?;
        Ok(!self.unclaimed.iter().any(|message| {
            matches!(
                message,
                ProbeMessage::Received { step, .. } | ProbeMessage::Sent { step, .. }
                    if *step == Some(number)
            )
        }))
    }

    /// Returns whether the call has not ended.
    pub(super) async fn is_running(&mut self) -> CaseResult<bool> {
        let number = Some(self.begin(Step::Fence));
        self.wait_for("an answer of the application", |message| match message {
            ProbeMessage::Done { step, .. } if *step == number => Some(true),
            ProbeMessage::Ended { .. } => Some(false),
            _ => None,
        })
        .await
    }

    /// Ends the call with this step, and waits until it has ended. The case may go on to command a
    /// sender that the application kept.
    pub(super) async fn end(&mut self, last: Step) -> CaseResult<ProbeCallEnd> {
        self.begin(last);
        self.ended().await
    }

    /// Ends the call with this step.
    pub(super) async fn finish(mut self, last: Step) -> CaseResult {
        self.end(last).await.map(|_| ())
    }

    /// Waits until the call has ended.
    pub(super) async fn ended(&mut self) -> CaseResult<ProbeCallEnd> {
        self.wait_for("the end of the call", |message| match message {
            ProbeMessage::Ended { how, .. } => Some(*how),
            _ => None,
        })
        .await
    }

    /// Waits for a message that `select` takes.
    async fn wait_for<T>(
        &mut self,
        what: &str,
        select: impl Fn(&ProbeMessage) -> Option<T>,
    ) -> CaseResult<T> {
        for (index, message) in self.unclaimed.iter().enumerate() {
            if let Some(selected) = select(message) {
                self.unclaimed.remove(index);
                return Ok(selected);
            }
        }
        let next = async {
            while let Some(message) = self.messages.recv().await {
                let message = message?;
                self.observer.observe(&message);
                if let Some(selected) = select(&message) {
                    return Ok(selected);
                }
                self.unclaimed.push_back(message);
            }
            Err(Verdict::failed(format!(
                "the server was gone before {what} came"
            )))
        };
        within(self.timeout, what, next).await?
    }
}

/// Shows the observer the messages that the case did not wait for.
impl Drop for ProbeCall {
    fn drop(&mut self) {
        while let Ok(Ok(message)) = self.messages.try_recv() {
            self.observer.observe(&message);
        }
    }
}

/// Returns the numbers of a version, for comparing.
fn version(text: &str) -> Vec<u32> {
    text.split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(version("2.0") < version("2.1"));
        assert!(version("2.9") < version("2.10"));
        assert!(version("2.3") >= version("2.3"));
    }
}
