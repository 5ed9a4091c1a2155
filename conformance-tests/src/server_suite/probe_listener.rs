//! Takes the probe's connections, and hands each of its messages to the call that it is about.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use callgate::Scope;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use super::case_log::CaseLog;
use super::probe_call::{Called, ProbeCall};
use super::result::CaseResult;
use crate::Verdict;
use crate::probe::{ProbeCommand, ProbeMessage, from_line, to_line};

/// Listens for the probe of one server.
#[derive(Debug)]
pub(super) struct ProbeListener {
    pub(super) address: SocketAddr,
    /// The calls for HTTP and WebSocket; a failure in place of a call whose scope is malformed.
    pub(super) calls: UnboundedReceiver<CaseResult<ProbeCall>>,
    /// The calls for lifespan, in the same way.
    pub(super) lifespans: UnboundedReceiver<CaseResult<ProbeCall>>,
    accepting: JoinHandle<()>,
}

impl ProbeListener {
    /// Listens at `address`, or at a free one.
    pub(super) async fn bind(
        address: Option<SocketAddr>,
        log: CaseLog,
        timeout: Duration,
    ) -> io::Result<Self> {
        let address = address.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
        let listener = TcpListener::bind(address).await?;
        let (exchange_sender, calls) = unbounded_channel();
        let (lifespan_sender, lifespans) = unbounded_channel();
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            // The connections end with this task: a probe that lives on connects to the next listener.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = ProbeConnection {
                    exchanges: exchange_sender.clone(),
                    lifespans: lifespan_sender.clone(),
                    open_calls: HashMap::new(),
                    log: log.clone(),
                    timeout,
                };
                connections.spawn(connection.run(stream));
            }
        });
        Ok(Self {
            address,
            calls,
            lifespans,
            accepting,
        })
    }
}

impl Drop for ProbeListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A connection of a probe.
struct ProbeConnection {
    exchanges: UnboundedSender<CaseResult<ProbeCall>>,
    lifespans: UnboundedSender<CaseResult<ProbeCall>>,
    /// The messages of each call; a failure in place of a malformed one.
    open_calls: HashMap<u64, UnboundedSender<CaseResult<ProbeMessage>>>,
    log: CaseLog,
    timeout: Duration,
}

impl ProbeConnection {
    async fn run(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        let (commands, to_write) = unbounded_channel();
        tokio::spawn(write_all(write, to_write));
        let mut lines = BufReader::<OwnedReadHalf>::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match from_line(&line) {
                Ok(message) => self.dispatch(message, &commands),
                Err(error) => self.fail_call(&line, &error),
            }
        }
    }

    /// Fails the call that a malformed message is about.
    fn fail_call(&mut self, line: &str, error: &serde_json::Error) {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let seen = match message.get("event") {
            Some(event) => format!("the event is malformed: {error}: {event}"),
            None => format!("the probe's message is malformed: {error}: {line}"),
        };
        let call = message["call"].as_u64();
        match call.and_then(|call| self.open_calls.get(&call)) {
            Some(messages) => {
                let _ = messages.send(Err(Verdict::failed(seen)));
            }
            None => self.log.note(seen),
        }
    }

    fn dispatch(&mut self, message: ProbeMessage, commands: &UnboundedSender<ProbeCommand>) {
        let call = match message {
            ProbeMessage::Hello { .. } => return,
            ProbeMessage::Called {
                call,
                scope,
                target,
                spec_version,
            } => {
                let calls = match scope["type"].as_str() {
                    Some("lifespan") => &self.lifespans,
                    _ => &self.exchanges,
                };
                let parsed = serde_json::from_value::<Scope>(without_pseudo_fields(&scope));
                let begun = match parsed {
                    Ok(parsed) => {
                        let (messages, for_call) = unbounded_channel();
                        self.open_calls.insert(call, messages);
                        let called = Called {
                            call,
                            // Where the probe sends none, the serialised form has all of the target.
                            target: target.or(parsed.uri().map(ToString::to_string)),
                            scope: parsed,
                            raw_scope: scope,
                            spec_version,
                        };
                        let (commands, log) = (commands.clone(), self.log.clone());
                        Ok(ProbeCall::new(
                            called,
                            commands,
                            for_call,
                            log,
                            self.timeout,
                        ))
                    }
                    Err(error) => {
                        self.log.record_malformed_scope();
                        let seen = format!("the scope is malformed: {error}: {scope}");
                        Err(Verdict::failed(seen))
                    }
                };
                // The receiving end is closed once the suite is done with this server.
                let _ = calls.send(begun);
                return;
            }
            ProbeMessage::Received { call, .. }
            | ProbeMessage::Sent { call, .. }
            | ProbeMessage::Done { call, .. }
            | ProbeMessage::Ended { call, .. } => call,
        };
        if let Some(messages) = self.open_calls.get(&call) {
            let _ = messages.send(Ok(message));
        }
    }
}

/// Returns the scope without the header fields that no `HeaderMap` can hold.
fn without_pseudo_fields(scope: &Value) -> Value {
    let mut scope = scope.clone();
    if let Some(fields) = scope.get_mut("headers").and_then(Value::as_array_mut) {
        fields.retain(|field| !field[0].as_str().is_some_and(|name| name.starts_with(':')));
    }
    scope
}

async fn write_all(mut write: OwnedWriteHalf, mut commands: UnboundedReceiver<ProbeCommand>) {
    while let Some(command) = commands.recv().await {
        if write.write_all(to_line(&command).as_bytes()).await.is_err() {
            return;
        }
    }
}
