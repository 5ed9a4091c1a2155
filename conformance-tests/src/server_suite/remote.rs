//! The suite's end of the probe: one [`Remote`] for each call of the application.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use callgate::{HttpScope, ReceiveEvent, Scope, SendEvent, WebSocketScope};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use super::bench::Log;
use super::case::Outcome;
use super::witness::Witness;
use crate::Verdict;
use crate::probe::{Command, End, SentOutcome, Step, Told};

/// Listens for the probe of one server.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) address: SocketAddr,
    /// Those that are malformed as what is wrong.
    pub(super) calls: UnboundedReceiver<Outcome<Remote>>,
    pub(super) lifespans: UnboundedReceiver<Outcome<Remote>>,
    listening: JoinHandle<()>,
}

impl Control {
    /// Listens at `address`, or at a free one.
    pub(super) async fn listen(
        address: Option<SocketAddr>,
        log: Log,
        patience: Duration,
    ) -> io::Result<Self> {
        let address = address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        let listener = TcpListener::bind(address).await?;
        let (http, calls) = unbounded_channel();
        let (lifespan, lifespans) = unbounded_channel();
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            // They end with the listening, so that a probe that lives on connects anew.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let dispatch = Dispatch {
                    http: http.clone(),
                    lifespan: lifespan.clone(),
                    calls: HashMap::new(),
                    log: log.clone(),
                    patience,
                };
                connections.spawn(dispatch.run(stream));
            }
        });
        Ok(Self {
            address,
            calls,
            lifespans,
            listening,
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Hands what one probe tells to the calls that are meant.
struct Dispatch {
    http: UnboundedSender<Outcome<Remote>>,
    lifespan: UnboundedSender<Outcome<Remote>>,
    calls: HashMap<u64, UnboundedSender<Told>>,
    log: Log,
    patience: Duration,
}

impl Dispatch {
    async fn run(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        let (commands, to_write) = unbounded_channel();
        tokio::spawn(write_all(write, to_write));
        let mut lines = BufReader::<OwnedReadHalf>::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(told) => self.dispatch(told, &commands),
                Err(error) => self.log.note(format!(
                    "the probe told `{line}`, which is malformed: {error}"
                )),
            }
        }
    }

    fn dispatch(&mut self, told: Told, commands: &UnboundedSender<Command>) {
        let call = match &told {
            Told::Hello { .. } => return,
            Told::Called {
                call,
                scope: told_scope,
                target,
            } => {
                let calls = match told_scope["type"].as_str() {
                    Some("lifespan") => &self.lifespan,
                    _ => &self.http,
                };
                let scope = match serde_json::from_value::<Scope>(without_pseudo_fields(told_scope))
                {
                    Ok(scope) => scope,
                    Err(error) => {
                        let seen = format!("the scope is malformed: {error}: {told_scope}");
                        let _ = calls.send(Err(Verdict::failed(seen)));
                        return;
                    }
                };
                let (tell, told) = unbounded_channel();
                self.calls.insert(*call, tell);
                // Where it is not told apart, the serialised form has all of it.
                let target = target.clone().or(scope.uri().map(ToString::to_string));
                // When the suite no longer waits for calls, nobody wants them.
                let _ = calls.send(Ok(Remote {
                    call: *call,
                    witness: Witness::new(&scope, self.log.clone()),
                    scope,
                    told_scope: told_scope.clone(),
                    target,
                    commands: commands.clone(),
                    told,
                    unclaimed: VecDeque::new(),
                    next_step: 0,
                    patience: self.patience,
                }));
                return;
            }
            Told::Received { call, .. }
            | Told::Sent { call, .. }
            | Told::Done { call, .. }
            | Told::Ended { call, .. } => *call,
        };
        if let Some(remote) = self.calls.get(&call) {
            let _ = remote.send(told);
        }
    }
}

/// The scope without the fields that no scope can have.
fn without_pseudo_fields(scope: &Value) -> Value {
    let mut scope = scope.clone();
    if let Some(fields) = scope.get_mut("headers").and_then(Value::as_array_mut) {
        fields.retain(|field| !field[0].as_str().is_some_and(|name| name.starts_with(':')));
    }
    scope
}

async fn write_all(mut write: OwnedWriteHalf, mut commands: UnboundedReceiver<Command>) {
    while let Some(command) = commands.recv().await {
        let mut line = serde_json::to_vec(&command).expect("a command has a serialised form");
        line.push(b'\n');
        if write.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// The application in one call, at the suite's command.
#[derive(Debug)]
pub(super) struct Remote {
    call: u64,
    pub(super) scope: Scope,
    /// The scope as the probe told it, for what has no place in [`Remote::scope`].
    pub(super) told_scope: Value,
    /// The target as it stands in the scope; none for lifespan.
    pub(super) target: Option<String>,
    commands: UnboundedSender<Command>,
    told: UnboundedReceiver<Told>,
    /// What was told and nobody has asked for yet.
    unclaimed: VecDeque<Told>,
    witness: Witness,
    next_step: u64,
    patience: Duration,
}

impl Remote {
    /// The scope, which must be that of an HTTP request.
    pub(super) fn http(&self) -> Outcome<&HttpScope> {
        match &self.scope {
            Scope::Http(scope) => Ok(scope),
            other => Err(Verdict::failed(format!(
                "the scope is of type `{}`, not `http`",
                other.type_name()
            ))),
        }
    }

    /// The scope, which must be that of a WebSocket.
    pub(super) fn websocket(&self) -> Outcome<&WebSocketScope> {
        match &self.scope {
            Scope::WebSocket(scope) => Ok(scope),
            other => Err(Verdict::failed(format!(
                "the scope is of type `{}`, not `websocket`",
                other.type_name()
            ))),
        }
    }

    /// The number of the call in the server's process, from 0 on.
    pub(super) fn number(&self) -> u64 {
        self.call
    }

    /// Waits until the application is gone, and with it the server. Whatever it did has been told by
    /// then.
    pub(super) async fn is_gone(&mut self) -> Outcome {
        let gone = async {
            while let Some(told) = self.told.recv().await {
                self.witness.told(&told);
            }
        };
        within(self.patience, "the application to be gone", gone).await
    }

    /// The names of the header fields as the probe told them.
    pub(super) fn told_names(&self) -> impl Iterator<Item = &str> {
        let fields = self.told_scope["headers"].as_array();
        fields
            .into_iter()
            .flatten()
            .filter_map(|field| field[0].as_str())
    }

    /// From here on waits for as long as it takes.
    pub(super) fn be_patient(&mut self) {
        self.be_patient_for(Duration::MAX);
    }

    /// From here on waits this long for one thing.
    pub(super) fn be_patient_for(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Has the application begin a step; its number is what to ask for with the other methods.
    pub(super) fn begin(&mut self, what: Step) -> u64 {
        let step = self.next_step;
        self.next_step += 1;
        self.witness.commanded(step, &what);
        // When the probe is gone, whoever waits for the step runs out of patience.
        let _ = self.commands.send(Command {
            call: self.call,
            step,
            what,
        });
        step
    }

    /// Receives the next event.
    pub(super) async fn receive(&mut self) -> Outcome<ReceiveEvent> {
        let step = self.begin(Step::Receive);
        self.received(Some(step)).await
    }

    /// Waits for the event that a step receives; none for a step that the request brought along.
    pub(super) async fn received(&mut self, asked: Option<u64>) -> Outcome<ReceiveEvent> {
        self.told("an event for the application", |told| match told {
            Told::Received { step, event, .. } if *step == asked => Some(event.clone()),
            _ => None,
        })
        .await
    }

    /// Sends an event, whatever comes of it.
    pub(super) async fn try_send(&mut self, event: impl Into<SendEvent>) -> Outcome<SentOutcome> {
        let step = self.begin(Step::Send(event.into()));
        self.sent(Some(step)).await
    }

    /// Sends an event, which must be taken.
    pub(super) async fn send(&mut self, event: impl Into<SendEvent>) -> Outcome {
        let event = event.into();
        let name = event.type_name();
        match self.try_send(event).await? {
            SentOutcome::Delivered => Ok(()),
            other => Err(Verdict::failed(format!(
                "sending `{name}` came to {other:?}"
            ))),
        }
    }

    /// Waits for what the send of a step comes to; none for a step that the request brought along.
    pub(super) async fn sent(&mut self, asked: Option<u64>) -> Outcome<SentOutcome> {
        self.told("the end of a send", |told| match told {
            Told::Sent { step, outcome, .. } if *step == asked => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    /// Has the application do a step that neither receives nor sends; what it tells.
    pub(super) async fn act(&mut self, what: Step) -> Outcome<Vec<String>> {
        let asked = Some(self.begin(what));
        self.told("a step of the application", |told| match told {
            Told::Done { step, texts, .. } if *step == asked => Some(texts.clone()),
            _ => None,
        })
        .await
    }

    /// Whether a step that receives or sends is still under way. Whatever happened before has been
    /// told by then.
    pub(super) async fn is_pending(&mut self, asked: u64) -> Outcome<bool> {
        self.act(Step::Fence).await?;
        Ok(!self.unclaimed.iter().any(|told| {
            matches!(told, Told::Received { step, .. } | Told::Sent { step, .. } if *step == Some(asked))
        }))
    }

    /// Whether the call has not ended.
    pub(super) async fn is_running(&mut self) -> Outcome<bool> {
        let asked = Some(self.begin(Step::Fence));
        self.told("a sign of life", |told| match told {
            Told::Done { step, .. } if *step == asked => Some(true),
            Told::Ended { .. } => Some(false),
            _ => None,
        })
        .await
    }

    /// Ends the call with this step, and waits until it has ended; the application may still be
    /// told what to do with what it kept.
    pub(super) async fn end(&mut self, last: Step) -> Outcome<End> {
        self.begin(last);
        self.ended().await
    }

    /// Ends the call with this step.
    pub(super) async fn finish(mut self, last: Step) -> Outcome {
        self.begin(last);
        self.ended().await.map(|_| ())
    }

    /// Waits until the call has ended.
    pub(super) async fn ended(&mut self) -> Outcome<End> {
        self.told("the end of the call", |told| match told {
            Told::Ended { how, .. } => Some(*how),
            _ => None,
        })
        .await
    }

    /// Waits until something is told that `select` takes.
    async fn told<T>(&mut self, what: &str, select: impl Fn(&Told) -> Option<T>) -> Outcome<T> {
        for (index, told) in self.unclaimed.iter().enumerate() {
            if let Some(selected) = select(told) {
                self.unclaimed.remove(index);
                return Ok(selected);
            }
        }
        let next = async {
            while let Some(told) = self.told.recv().await {
                self.witness.told(&told);
                if let Some(selected) = select(&told) {
                    return Ok(selected);
                }
                self.unclaimed.push_back(told);
            }
            Err(Verdict::failed(format!(
                "the server was gone before {what} came"
            )))
        };
        within(self.patience, what, next).await?
    }
}

/// Waits no longer than `patience`.
pub(super) async fn within<T>(
    patience: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Outcome<T> {
    tokio::time::timeout(patience, future)
        .await
        .map_err(|_| Verdict::failed(format!("waited {patience:?} in vain for {what}")))
}

/// What no step of the case has asked for counts as well.
impl Drop for Remote {
    fn drop(&mut self) {
        while let Ok(told) = self.told.try_recv() {
            self.witness.told(&told);
        }
    }
}
