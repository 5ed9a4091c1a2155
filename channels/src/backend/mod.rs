//! What a backend provides.

mod log;
mod reader;
mod waiters;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use log::{EventLog, Full, Wakeups};
pub use reader::Reader;

use crate::{Error, GroupEvent, Health, Member, MemberId, Payload, Sequence, Settings};

/// A future that a [`Backend`] returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A store and the way to it. The [suite](crate::suite) checks a backend against the rules of the
/// [layer](crate::documents::channels).
///
/// Each method may be called at any time from any thread, and none may block its thread. A layer checks the
/// lengths of names and messages before it calls the backend.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Returns the name of this kind of backend, such as `memory`.
    fn name(&self) -> &'static str;

    /// Returns the settings.
    fn settings(&self) -> &Settings;

    /// Publishes a message, and returns its number once the store has the message.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchMember`] for the inbox of a member that is not there; [`Error::Unreachable`],
    /// [`Error::Unconfirmed`] and [`Error::Refused`] where there is something to reach.
    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        payload: Payload,
    ) -> BoxFuture<'a, Result<Sequence, Error>>;

    /// Begins to read a topic. The reader sees each event after its start.
    ///
    /// # Errors
    ///
    /// [`Error::SequenceAhead`] for a start that the topic has not reached; errors as of
    /// [`publish`](Self::publish).
    fn open<'a>(&'a self, topic: &'a Topic, start: Start) -> BoxFuture<'a, Result<Opened, Error>>;

    /// Is called after a reader was dropped. The backend may forget a topic without readers.
    fn release(&self, topic: &Topic);

    /// Returns whether publishers can wait for slow subscribers.
    fn can_wait(&self) -> bool {
        false
    }

    /// Adds a member to a group, with a [`GroupEvent::Join`].
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    fn join<'a>(&'a self, group: &'a Topic, member: Member) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes a member of this process from a group, with a [`GroupEvent::Leave`]. On an error the backend
    /// goes on to remove the member in the background.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    fn leave<'a>(
        &'a self,
        group: &'a Topic,
        member: &'a MemberId,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Removes a member of this process from a group in the background, as [`leave`](Self::leave) does.
    fn leave_in_background(&self, group: &Topic, member: &MemberId);

    /// Returns the members of a group in all processes, in the order of their IDs.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    fn members<'a>(&'a self, group: &'a Topic) -> BoxFuture<'a, Result<Vec<Member>, Error>>;

    /// Returns the number of members of a group in all processes.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    fn member_count<'a>(&'a self, group: &'a Topic) -> BoxFuture<'a, Result<usize, Error>>;

    /// Returns whether the store can be reached.
    fn health(&self) -> Health;

    /// Returns how often the backend has connected again.
    fn reconnects(&self) -> u64 {
        0
    }

    /// Removes the members of this process, ends all readers, and disconnects. Later operations fail with
    /// [`Error::Closed`].
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What has events: a group, or the inbox of a member of a group.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Topic {
    group: Arc<str>,
    member: Option<MemberId>,
}

impl Topic {
    /// Creates the topic of a group.
    #[must_use]
    pub fn group(name: &str) -> Self {
        Self {
            group: name.into(),
            member: None,
        }
    }

    /// Returns the topic of the inbox of a member of this group.
    #[must_use]
    pub fn inbox(&self, member: &MemberId) -> Self {
        Self {
            group: Arc::clone(&self.group),
            member: Some(member.clone()),
        }
    }

    /// Returns the name of the group.
    #[must_use]
    pub fn group_name(&self) -> &str {
        &self.group
    }

    /// Returns the member, if this is the topic of an inbox.
    #[must_use]
    pub fn member(&self) -> Option<&MemberId> {
        self.member.as_ref()
    }
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// After the last event.
    Now,
    /// After the event with this number. [`Sequence::ZERO`] is before the oldest event that is kept.
    After(Sequence),
}

/// A topic that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The events from the start that are not in the log of the reader, in order.
    pub backlog: Vec<GroupEvent>,
    /// The reader of the events after these.
    pub reader: Reader,
}
