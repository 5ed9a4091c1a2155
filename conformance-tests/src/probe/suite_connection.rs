//! The probe's connection to the suite.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use callgate::{Scope, Sender};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::protocol::{
    ProbeCallEnd, ProbeCommand, ProbeMessage, SendOutcome, Step, from_line, to_line,
};

/// A connection to the suite. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct SuiteConnection {
    messages: UnboundedSender<ProbeMessage>,
    calls: Arc<Mutex<OpenCalls>>,
}

#[derive(Debug, Default)]
struct OpenCalls {
    next: u64,
    running: HashMap<u64, UnboundedSender<ProbeCommand>>,
    /// The senders that calls kept, by call.
    senders: HashMap<u64, Sender>,
}

impl SuiteConnection {
    pub(super) async fn connect(suite: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(suite).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let (messages, to_write) = unbounded_channel();
        let connection = Self {
            messages,
            calls: Arc::default(),
        };
        connection.send_message(ProbeMessage::Hello {
            process: std::process::id(),
            protocol: "callgate".into(),
        });
        let reading = connection.clone().read_all(read);
        tokio::spawn(async move {
            // The end of one direction ends the other, so that the next call connects anew.
            tokio::select! {
                () = write_all(write, to_write) => {}
                () = reading => {}
            }
        });
        Ok(connection)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.messages.is_closed()
    }

    /// Sends the suite a message. A message to a suite that is gone is dropped.
    pub(super) fn send_message(&self, message: ProbeMessage) {
        let _ = self.messages.send(message);
    }

    /// Tells the suite of a call. Returns the call's number and the commands that come for it.
    pub(super) fn begin(&self, scope: &Scope) -> (u64, UnboundedReceiver<ProbeCommand>) {
        let (commands, for_call) = unbounded_channel();
        let mut calls = self.calls();
        let call = calls.next;
        calls.next += 1;
        calls.running.insert(call, commands);
        // In place of a scope without serialised form goes the name of its type.
        let serialised = serde_json::to_value(scope)
            .unwrap_or_else(|_| Value::String(scope.type_name().to_owned()));
        self.send_message(ProbeMessage::Called {
            call,
            scope: serialised,
            target: scope.uri().map(ToString::to_string),
            spec_version: None,
        });
        (call, for_call)
    }

    pub(super) fn end(&self, call: u64, how: ProbeCallEnd) {
        self.calls().running.remove(&call);
        self.send_message(ProbeMessage::Ended { call, how });
    }

    pub(super) fn keep(&self, call: u64, sender: Sender) {
        self.calls().senders.insert(call, sender);
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, OpenCalls> {
        self.calls.lock().expect("never held across a panic")
    }

    async fn read_all(self, read: OwnedReadHalf) {
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match from_line(&line) {
                Ok(command) => self.dispatch(command),
                Err(error) => {
                    tracing::error!("the suite sent `{}`: {error}", line.escape_debug());
                }
            }
        }
        // The suite is gone: the calls end, as no command comes any more.
        self.calls().running.clear();
    }

    fn dispatch(&self, command: ProbeCommand) {
        let calls = self.calls();
        let command = match calls.running.get(&command.call) {
            None => command,
            Some(running) => match running.send(command) {
                Ok(()) => return,
                Err(unsent) => unsent.0,
            },
        };
        // The call has ended.
        if let (Some(sender), Step::Send(event)) = (calls.senders.get(&command.call), command.what)
        {
            let (sender, connection) = (sender.clone(), self.clone());
            tokio::spawn(async move {
                connection.send_message(ProbeMessage::Sent {
                    call: command.call,
                    step: Some(command.step),
                    outcome: SendOutcome::from(sender.send(event).await),
                });
            });
        }
    }
}

async fn write_all(mut write: OwnedWriteHalf, mut messages: UnboundedReceiver<ProbeMessage>) {
    while let Some(message) = messages.recv().await {
        if write.write_all(to_line(&message).as_bytes()).await.is_err() {
            return;
        }
    }
}
