//! The room: all guests see each message, in all processes.
//!
//! Clients send texts and receive events as JSON, such as
//! `{"type":"message","guest":1,"text":"Hello"}`.

use std::pin::pin;
use std::sync::Arc;

use callgate::{AppError, ByteString, Message, Receiver, Sender, WebSocketAccept, WebSocketScope};
use callgate_channels::{
    ChannelLayer, Error, Group, GroupEvent, Member, Membership, Sequence, Subscription,
};
use callgate_toolkit::channels::{self, GroupSession, SessionEvent};
use callgate_toolkit::websocket::WebSocketUpgrade;
use futures_util::future::{Either, select};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::message;
use super::numbers::Numbers;
use crate::http_errors;

/// The name of the group whose members are the guests. Each has its number as data.
const GROUP: &str = "chat";

/// A room in which no guest delays another. A guest who reads too slowly misses the oldest events, and receives an
/// event that says so.
///
/// The room itself remembers nobody: the list of guests is kept by each client, which gets it at first, and then who
/// comes and goes. A guest who joins again, because the store has lost its data, joins with the same number.
#[derive(Debug, Default)]
pub(super) struct Room {
    numbers: Numbers,
    lists: Lists,
}

/// An event as guests receive it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum RoomEvent<'a> {
    /// The first event of each guest: the guest's own number, and all who are there.
    Welcome { guest: u64, guests: &'a [u64] },
    /// Another guest has come, or comes again.
    Joined { guest: u64 },
    /// Another guest has left.
    Left { guest: u64 },
    /// A guest has sent a message. The sender receives this event as well.
    Message { guest: u64, text: &'a str },
    /// Events are missing here. These guests are there; others may be there too, until [`Guests`](Self::Guests).
    Missed { guests: &'a [u64] },
    /// These guests are there, and no others.
    Guests { guests: &'a [u64] },
}

impl RoomEvent<'_> {
    fn json(&self) -> ByteString {
        let json = serde_json::to_string(self);
        json.expect("texts and numbers serialise").into()
    }

    fn message(&self) -> Message {
        Message::Text(self.json())
    }
}

/// What a guest begins with.
struct Entrance {
    number: u64,
    subscription: Subscription,
    membership: Membership,
    guests: Arc<[u64]>,
}

impl Room {
    /// Serves a guest from the handshake to the end of the WebSocket.
    pub(super) async fn serve_guest(
        &self,
        scope: &WebSocketScope,
        receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let layer = channels::layer(&scope.state)?;
        let entrance = match self.enter(layer).await {
            Ok(entrance) => entrance,
            Err(error) => {
                return http_errors::deny(scope, receiver, sender, &error.into()).await;
            }
        };
        let upgrade = WebSocketUpgrade::new(scope, receiver, sender);
        let socket = upgrade.accept(WebSocketAccept::new()).await?;
        let guest = Guest {
            lists: &self.lists,
            room: layer.group(GROUP),
            own: entrance.membership.member().clone(),
            number: entrance.number,
            next_list: None,
        };
        let mut session =
            GroupSession::new(socket, entrance.subscription).member(entrance.membership);
        let welcome = RoomEvent::Welcome {
            guest: guest.number,
            guests: &entrance.guests,
        };
        session.send(welcome.message());
        guest.serve(session).await
    }

    async fn enter(&self, layer: &ChannelLayer) -> Result<Entrance, Error> {
        let room = layer.group(GROUP);
        let number = self.numbers.next(&room).await?;
        let subscription = room.subscribe().await?;
        let membership = room.join(number.to_string()).await?;
        let guests = list(&room).await?;
        Ok(Entrance {
            number,
            subscription,
            membership,
            guests,
        })
    }
}

/// A guest of the room.
struct Guest<'a> {
    lists: &'a Lists,
    room: Group,
    own: Member,
    number: u64,
    /// When the guests are listed after a gap, and the number of an event that is not after the list.
    next_list: Option<(Instant, Sequence)>,
}

impl Guest<'_> {
    async fn serve(mut self, mut session: GroupSession) -> Result<(), AppError> {
        loop {
            let due = async {
                match self.next_list {
                    Some((at, _)) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let event = match select(pin!(session.next()), pin!(due)).await {
                Either::Left((Some(event), _)) => Some(event),
                Either::Left((None, _)) => return Ok(()),
                Either::Right(_) => None,
            };
            let handled = match event {
                Some(SessionEvent::Client(message)) => match message::read(message) {
                    Ok(text) => self.say(&text).await,
                    Err(close) => return Ok(session.close(close).await?),
                },
                Some(SessionEvent::Group(event)) => self.tell(event, &mut session).await,
                Some(_) => Ok(()),
                None => self.list_again(&mut session).await,
            };
            if let Err(error) = handled {
                // The page connects again.
                return Err(session.fail(error).await);
            }
        }
    }

    /// Publishes a text as the event that guests receive.
    async fn say(&self, text: &str) -> Result<(), Error> {
        let guest = self.number;
        let event = RoomEvent::Message { guest, text };
        self.room.publish(event.json()).await.map(drop)
    }

    async fn tell(&mut self, event: GroupEvent, session: &mut GroupSession) -> Result<(), Error> {
        match event {
            GroupEvent::Message(message) => session.forward(message.payload),
            GroupEvent::Join { member, .. } if member.id != self.own.id => {
                if let Some(guest) = number(&member) {
                    session.send(RoomEvent::Joined { guest }.message());
                }
            }
            GroupEvent::Leave { member, .. } if member.id != self.own.id => {
                if let Some(guest) = number(&member) {
                    session.send(RoomEvent::Left { guest }.message());
                }
            }
            GroupEvent::Missed(missed) => {
                let guests = self.lists.after(&self.room, missed.to).await?;
                session.send(RoomEvent::Missed { guests: &guests }.message());
                // A store that was restarted without data lacks the guests of processes that have not connected
                // again. After this time, those who are still missing are gone.
                let grace = self.room.layer().settings().presence_timeout * 4 / 3;
                let micros = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
                let after = Sequence::new(missed.to.get().saturating_add(micros));
                self.next_list = Some((Instant::now() + grace, after));
            }
            _ => {}
        }
        Ok(())
    }

    async fn list_again(&mut self, session: &mut GroupSession) -> Result<(), Error> {
        if let Some((_, after)) = self.next_list.take() {
            let guests = self.lists.after(&self.room, after).await?;
            session.send(RoomEvent::Guests { guests: &guests }.message());
        }
        Ok(())
    }
}

/// The newest list of guests, which all guests of this process share who have missed the same events.
#[derive(Debug, Default)]
struct Lists {
    /// The list, with the number of an event that is not after it.
    newest: Mutex<Option<(Sequence, Arc<[u64]>)>>,
}

impl Lists {
    /// Returns a list of guests that is not older than the event of this number.
    async fn after(&self, room: &Group, sequence: Sequence) -> Result<Arc<[u64]>, Error> {
        let mut newest = self.newest.lock().await;
        if let Some((after, guests)) = &*newest
            && *after >= sequence
        {
            return Ok(Arc::clone(guests));
        }
        let guests = list(room).await?;
        *newest = Some((sequence, Arc::clone(&guests)));
        Ok(guests)
    }
}

/// Lists the numbers of the guests in all processes.
async fn list(room: &Group) -> Result<Arc<[u64]>, Error> {
    let mut guests: Vec<u64> = room.members().await?.iter().filter_map(number).collect();
    guests.sort_unstable();
    Ok(guests.into())
}

/// Returns the number of a guest.
pub(super) fn number(member: &Member) -> Option<u64> {
    member.data.as_text()?.parse().ok()
}
