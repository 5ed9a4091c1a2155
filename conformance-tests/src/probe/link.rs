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

use super::protocol::{Command, End, SentOutcome, Step, Told};

/// Clones share the connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    told: UnboundedSender<Told>,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    running: HashMap<u64, UnboundedSender<Command>>,
    /// Those of calls that were told to keep theirs.
    senders: HashMap<u64, Sender>,
}

impl Link {
    pub(super) async fn connect(suite: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(suite).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        let (told, to_tell) = unbounded_channel();
        let link = Self {
            told,
            calls: Arc::default(),
        };
        link.tell(Told::Hello {
            process: std::process::id(),
            protocol: "callgate".into(),
        });
        let reading = link.clone().read_all(read);
        tokio::spawn(async move {
            // When one direction ends, so does the other: a call that comes then connects anew.
            tokio::select! {
                () = write_all(write, to_tell) => {}
                () = reading => {}
            }
        });
        Ok(link)
    }

    pub(super) fn is_open(&self) -> bool {
        !self.told.is_closed()
    }

    /// Tells the suite. When it is gone, nobody wants to know.
    pub(super) fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }

    /// Tells of a call, and gives its number and the commands that come for it.
    pub(super) fn begin(&self, scope: &Scope) -> (u64, UnboundedReceiver<Command>) {
        let (commands, for_call) = unbounded_channel();
        let mut calls = self.calls();
        let call = calls.next;
        calls.next += 1;
        calls.running.insert(call, commands);
        // A scope that has no serialised form is told as what it is called.
        let told = serde_json::to_value(scope)
            .unwrap_or_else(|_| Value::String(scope.type_name().to_owned()));
        self.tell(Told::Called {
            call,
            scope: told,
            target: scope.uri().map(ToString::to_string),
        });
        (call, for_call)
    }

    pub(super) fn end(&self, call: u64, how: End) {
        self.calls().running.remove(&call);
        self.tell(Told::Ended { call, how });
    }

    pub(super) fn keep(&self, call: u64, sender: Sender) {
        self.calls().senders.insert(call, sender);
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Calls> {
        self.calls.lock().expect("never held across a panic")
    }

    async fn read_all(self, read: OwnedReadHalf) {
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(command) => self.dispatch(command),
                Err(error) => tracing::error!("the suite sent `{line}`: {error}"),
            }
        }
        // The suite is gone: whoever waits for it waits in vain.
        self.calls().running.clear();
    }

    fn dispatch(&self, command: Command) {
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
            let (sender, link) = (sender.clone(), self.clone());
            tokio::spawn(async move {
                link.tell(Told::Sent {
                    call: command.call,
                    step: Some(command.step),
                    outcome: SentOutcome::from(sender.send(event).await),
                });
            });
        }
    }
}

async fn write_all(mut write: OwnedWriteHalf, mut told: UnboundedReceiver<Told>) {
    while let Some(told) = told.recv().await {
        let mut line = serde_json::to_vec(&told).expect("what is told has a serialised form");
        line.push(b'\n');
        if write.write_all(&line).await.is_err() {
            return;
        }
    }
}
