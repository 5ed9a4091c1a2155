//! What a subscription yields.

use crate::{Member, Payload, Sequence};

/// An event of a group, as a [`Subscription`](crate::Subscription) yields it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// A message was published.
    Message(Message),
    /// A member has joined. A member that is known already has joined again, after its process was thought
    /// to be dead or the store had lost it.
    Join {
        /// The number of the event.
        sequence: Sequence,
        /// The member.
        member: Member,
    },
    /// A member has left, or its process is dead.
    Leave {
        /// The number of the event.
        sequence: Sequence,
        /// The member.
        member: Member,
    },
    /// Events are missing here.
    Missed(Missed),
}

/// A message of a group, or to a member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The number of the message, which has its time as well.
    pub sequence: Sequence,
    /// The content.
    pub payload: Payload,
}

/// A gap: no event with a number from `from` to `to`, both inclusive, is yielded by this subscription. How
/// many events there were is unknown, and after a loss of the store's data also whether there was any.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missed {
    /// The first number of the gap.
    pub from: Sequence,
    /// The last number of the gap.
    pub to: Sequence,
}

impl GroupEvent {
    /// Returns the number of the event; of a gap, its last number.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        match self {
            Self::Message(message) => message.sequence,
            Self::Join { sequence, .. } | Self::Leave { sequence, .. } => *sequence,
            Self::Missed(missed) => missed.to,
        }
    }

    /// Returns the message, if this is one.
    #[must_use]
    pub fn into_message(self) -> Option<Message> {
        match self {
            Self::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Returns the length of the payload in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.payload.len(),
            Self::Join { member, .. } | Self::Leave { member, .. } => {
                member.id.as_str().len() + member.data.len()
            }
            Self::Missed(_) => 0,
        }
    }
}
