//! The WebSockets that receive what is published.

use std::io;
use std::net::SocketAddr;

use callgate_channels::suite::checker::Observed;
use callgate_channels::{GroupEvent, Message, Missed, Payload, Sequence};
use tokio::task::JoinSet;

use super::group::{END, Group};
use crate::client::http1::Connection;
use crate::client::websocket::{CLOSE, FIN, PING, PONG, TEXT, frame, open_at, read};
use crate::rooms::GROUPS;

/// How many sockets are opened at a time.
const AT_A_TIME: usize = 64;

/// What the sockets have received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    pub(super) yielded: u64,
    pub(super) missed: u64,
    pub(super) gaps: u64,
    pub(super) violations: u64,
    pub(super) unfinished: u64,
}

/// Opens the sockets. Each task reads its socket up to the end of its group, and returns the group.
pub(super) async fn subscribe(
    sockets: usize,
    addresses: &[SocketAddr],
    groups: &[Group],
) -> io::Result<JoinSet<(usize, io::Result<Observed>)>> {
    let mut readers = JoinSet::new();
    let sockets: Vec<_> = (0..sockets).collect();
    for some in sockets.chunks(AT_A_TIME) {
        let mut opening = JoinSet::new();
        for socket in some {
            let address = addresses[socket % addresses.len()];
            let group = socket / addresses.len() % groups.len();
            let path = format!("{GROUPS}{}", groups[group].name);
            opening.spawn(async move {
                let mut connection = Connection::open(address).await?;
                open_at(&mut connection, &path).await?;
                let start = next(&mut connection).await?;
                let start = start
                    .strip_prefix("start ")
                    .and_then(|text| text.parse().ok());
                let start = start.ok_or_else(|| io::Error::other("no start"))?;
                io::Result::Ok((group, connection, start))
            });
        }
        while let Some(opened) = opening.join_next().await {
            let (group, connection, start) = opened.map_err(io::Error::other)??;
            readers.spawn(async move { (group, observe(connection, start).await) });
        }
    }
    Ok(readers)
}

/// Reads events up to the end of a group.
async fn observe(mut connection: Connection, start: Sequence) -> io::Result<Observed> {
    let mut events = Vec::new();
    loop {
        let text = next(&mut connection).await?;
        let event = event(&text).ok_or_else(|| io::Error::other(format!("no event: {text}")))?;
        let is_end = matches!(&event, GroupEvent::Message(message) if message.payload.as_text() == Some(END));
        events.push(event);
        if is_end {
            return Ok(Observed { start, events });
        }
    }
}

fn event(text: &str) -> Option<GroupEvent> {
    let (kind, rest) = text.split_once(' ')?;
    let (first, second) = rest.split_once(' ')?;
    let sequence: Sequence = first.parse().ok()?;
    match kind {
        "message" => Some(GroupEvent::Message(Message {
            sequence,
            payload: Payload::from(second),
        })),
        "missed" => Some(GroupEvent::Missed(Missed {
            from: sequence,
            to: second.parse().ok()?,
        })),
        _ => None,
    }
}

/// Reads the next text, and answers pings.
pub(super) async fn next(connection: &mut Connection) -> io::Result<String> {
    loop {
        match read(connection).await? {
            (TEXT, payload) => return String::from_utf8(payload).map_err(io::Error::other),
            (PING, payload) => connection.send(&frame(FIN | PONG, &payload)).await?,
            (CLOSE, _) => return Err(io::Error::other("the WebSocket is closed")),
            _ => {}
        }
    }
}

impl Received {
    pub(super) fn add(&mut self, group: &Group, observed: &Observed) {
        match group.record().check(observed) {
            Ok(summary) => {
                self.yielded += summary.yielded as u64;
                self.missed += summary.missed as u64;
                self.gaps += summary.gaps as u64;
            }
            Err(violation) => {
                println!("  {}: {violation}", group.name);
                self.violations += 1;
            }
        }
    }
}
