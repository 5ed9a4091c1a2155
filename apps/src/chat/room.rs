//! The room: what one says everyone sees.
//!
//! Clients send texts and receive lines of JSON, such as `{"type":"message","guest":1,"text":"Hello"}`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate::{
    AppError, ByteString, Message, ReceiveEvent, Receiver, SendError, Sender, WebSocketAccept,
};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

/// How many lines the room keeps for those who have not read them. Each is held once, however many
/// have still to read it.
const KEPT_LINES: usize = 256;

/// A room in which nobody holds up another: who reads too slowly misses the oldest lines, is told how
/// many, and stays.
#[derive(Debug)]
pub(super) struct Room {
    guests: Mutex<Guests>,
    lines: broadcast::Sender<ByteString>,
}

#[derive(Debug, Default)]
struct Guests {
    /// How many are here.
    here: usize,
    /// The number of the one who came last. Numbers are not given twice.
    last: u64,
}

/// What those in the room are told.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line<'a> {
    /// Who one is: the first line for each.
    Welcome { guest: u64, here: usize },
    /// Someone has come.
    Joined { guest: u64, here: usize },
    /// Someone has gone.
    Left { guest: u64, here: usize },
    /// Someone has said something: one sees one's own messages too.
    Message { guest: u64, text: &'a str },
    /// One was too slow for this many lines.
    Missed { lines: u64, here: usize },
}

impl Default for Room {
    fn default() -> Self {
        Self {
            guests: Mutex::default(),
            lines: broadcast::Sender::new(KEPT_LINES),
        }
    }
}

impl Room {
    /// Serves one who comes, until they go.
    pub(super) async fn admit(
        &self,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        sender.send(WebSocketAccept::new()).await?;
        let (guest, welcome, mut lines) = self.enter();
        tell(&sender, welcome).await?;
        loop {
            // While a line is on its way to this guest nothing more is heard of them: who does not
            // read cannot flood the room.
            tokio::select! {
                event = receiver.receive() => match event {
                    ReceiveEvent::WebSocketReceive(message) => match super::read(message) {
                        Ok(text) => guest.say(&text),
                        Err(close) => {
                            sender.send(close).await?;
                            return Ok(());
                        }
                    },
                    ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                    _ => {}
                },
                line = lines.recv() => match line {
                    Ok(line) => tell(&sender, line).await?,
                    Err(RecvError::Lagged(lines)) => {
                        let here = self.guests().here;
                        tell(&sender, Line::Missed { lines, here }.json()).await?;
                    }
                    // The room outlives its guests.
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    /// A new guest, their welcome, and what is said from now on.
    fn enter(&self) -> (Guest<'_>, ByteString, broadcast::Receiver<ByteString>) {
        let mut guests = self.guests();
        guests.here += 1;
        guests.last += 1;
        let (number, here) = (guests.last, guests.here);
        self.show(&Line::Joined {
            guest: number,
            here,
        });
        let welcome = Line::Welcome {
            guest: number,
            here,
        };
        (
            Guest { room: self, number },
            welcome.json(),
            self.lines.subscribe(),
        )
    }

    /// Held while a line goes out that says how many are here, so that such lines are in order.
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, line: &Line<'_>) {
        // It fails when nobody is here to see it.
        let _ = self.lines.send(line.json());
    }
}

/// One who is in the room for as long as this lives, however the call ends.
struct Guest<'a> {
    room: &'a Room,
    number: u64,
}

impl Guest<'_> {
    fn say(&self, text: &str) {
        let guest = self.number;
        self.room.show(&Line::Message { guest, text });
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut guests = self.room.guests();
        guests.here -= 1;
        let (guest, here) = (self.number, guests.here);
        self.room.show(&Line::Left { guest, here });
    }
}

impl Line<'_> {
    fn json(&self) -> ByteString {
        let json = serde_json::to_string(self);
        json.expect("texts and numbers can be JSON").into()
    }
}

async fn tell(sender: &Sender, line: ByteString) -> Result<(), SendError> {
    sender.send(Message::text(line)).await
}
