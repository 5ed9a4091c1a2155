//! The room: all guests see each message.
//!
//! Clients send texts and receive events as JSON, such as
//! `{"type":"message","guest":1,"text":"Hello"}`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate::{
    AppError, ByteString, Message, ReceiveEvent, Receiver, SendError, Sender, WebSocketAccept,
};
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};

use super::message;

/// The number of events that the room keeps for guests who have not received them. Each event is
/// held once, however many guests have still to receive it.
const EVENT_BUFFER: usize = 256;

/// A room in which no guest delays another: a guest who reads too slowly misses the oldest events, gets
/// the number of missed events, and stays.
#[derive(Debug)]
pub(super) struct Room {
    guests: Mutex<Guests>,
    events: broadcast::Sender<ByteString>,
}

#[derive(Debug, Default)]
struct Guests {
    /// The number of guests in the room.
    present: usize,
    /// The number of the newest guest. No number is given twice.
    last_number: u64,
}

/// An event as guests receive it. `here` is how many guests are in the room.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum RoomEvent<'a> {
    /// The first event of each guest: the guest's own number.
    Welcome { guest: u64, here: usize },
    /// Another guest has come.
    Joined { guest: u64, here: usize },
    /// Another guest has left.
    Left { guest: u64, here: usize },
    /// A guest has sent a message. The sender receives this event as well.
    Message { guest: u64, text: &'a str },
    /// The receiver was too slow, and has missed this many events.
    Missed { lines: u64, here: usize },
}

impl Default for Room {
    fn default() -> Self {
        Self {
            guests: Mutex::default(),
            events: broadcast::Sender::new(EVENT_BUFFER),
        }
    }
}

impl Room {
    /// Serves a guest from the handshake to the end of the WebSocket.
    pub(super) async fn serve_guest(
        &self,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        sender.send(WebSocketAccept::new()).await?;
        let (guest, welcome, mut events) = self.join();
        send_event(&sender, welcome).await?;
        loop {
            // While an event is being sent to this guest, no message of the guest is received: a
            // guest who does not read cannot flood the room.
            tokio::select! {
                event = receiver.receive() => match event {
                    ReceiveEvent::WebSocketReceive(message) => match message::read(message) {
                        Ok(text) => guest.say(&text),
                        Err(close) => {
                            sender.send(close).await?;
                            return Ok(());
                        }
                    },
                    ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                    _ => {}
                },
                event = events.recv() => match event {
                    Ok(event) => send_event(&sender, event).await?,
                    Err(RecvError::Lagged(lines)) => {
                        let here = self.guests().present;
                        send_event(&sender, RoomEvent::Missed { lines, here }.json()).await?;
                    }
                    // The room, which holds the other end, outlives its guests.
                    Err(RecvError::Closed) => return Ok(()),
                },
            }
        }
    }

    /// Adds a guest. Returns the guest, the first event for the guest, and a receiver of the later
    /// events.
    fn join(&self) -> (Guest<'_>, ByteString, broadcast::Receiver<ByteString>) {
        let mut guests = self.guests();
        guests.present += 1;
        guests.last_number += 1;
        let (number, here) = (guests.last_number, guests.present);
        self.broadcast(&RoomEvent::Joined {
            guest: number,
            here,
        });
        let welcome = RoomEvent::Welcome {
            guest: number,
            here,
        };
        (
            Guest { room: self, number },
            welcome.json(),
            self.events.subscribe(),
        )
    }

    /// Locks the guests. The lock is held while an event with their number is sent, so that such
    /// events are in order.
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broadcast(&self, event: &RoomEvent<'_>) {
        // The send fails when there is no guest.
        let _ = self.events.send(event.json());
    }
}

/// A guest of the room, until this is dropped, however the call ends.
struct Guest<'a> {
    room: &'a Room,
    number: u64,
}

impl Guest<'_> {
    fn say(&self, text: &str) {
        let guest = self.number;
        self.room.broadcast(&RoomEvent::Message { guest, text });
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let mut guests = self.room.guests();
        guests.present -= 1;
        let (guest, here) = (self.number, guests.present);
        self.room.broadcast(&RoomEvent::Left { guest, here });
    }
}

impl RoomEvent<'_> {
    fn json(&self) -> ByteString {
        let json = serde_json::to_string(self);
        json.expect("texts and numbers serialise").into()
    }
}

async fn send_event(sender: &Sender, event: ByteString) -> Result<(), SendError> {
    sender.send(Message::text(event)).await
}
