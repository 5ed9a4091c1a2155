//! Errors.

use std::fmt;
use std::time::Duration;

use crate::{MemberId, Sequence};

/// Why an operation of the layer failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The name of the group is longer than the limit. Nothing was sent.
    NameTooLong {
        /// The length of the name in bytes.
        octets: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The message, or the data of the member, is longer than the limit. Nothing was sent.
    MessageTooLarge {
        /// The length in bytes.
        octets: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The member has left, or there has never been such a member. Nothing was sent.
    NoSuchMember(MemberId),
    /// The number to continue from is greater than every number of the group. Either the number is not from
    /// this group, or the store has lost its data and its clock is behind. Subscribe anew.
    SequenceAhead {
        /// The number to continue from.
        asked: Sequence,
        /// The greatest number of the group.
        head: Sequence,
    },
    /// The backend cannot let publishers wait for slow subscribers.
    WaitUnsupported {
        /// The name of the backend.
        backend: &'static str,
    },
    /// The backend cannot be reached. Nothing was sent.
    Unreachable {
        /// What cannot be reached, such as `redis at 127.0.0.1:6379`.
        target: String,
        /// Why.
        reason: String,
        /// The longest time between two attempts to connect; `None` at the start of the layer, which tries once.
        retry: Option<Duration>,
    },
    /// The backend was lost, or did not answer in time, after the operation was sent: it may have taken
    /// effect. Subscribers see a message once or not at all.
    Unconfirmed {
        /// What did not answer.
        target: String,
        /// Why the answer is missing.
        reason: String,
    },
    /// The backend refused the operation, for example because its memory is full.
    Refused {
        /// What refused.
        target: String,
        /// The reason of the backend.
        reason: String,
    },
    /// The text that says which backend to use is not understood.
    InvalidUrl {
        /// The reason and the remedy.
        reason: String,
    },
    /// The value cannot be serialised.
    Serialise {
        /// The reason.
        reason: String,
    },
    /// The layer is closed.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTooLong { octets, limit } => write!(
                f,
                "the name of the group has {octets} bytes, and the limit is {limit}"
            ),
            Self::MessageTooLarge { octets, limit } => {
                write!(
                    f,
                    "the message has {octets} bytes, and the limit is {limit}"
                )
            }
            Self::NoSuchMember(id) => write!(f, "there is no member {id}"),
            Self::SequenceAhead { asked, head } => write!(
                f,
                "the group has no number {asked} (its greatest is {head}): subscribe anew"
            ),
            Self::WaitUnsupported { backend } => write!(
                f,
                "publishers cannot wait for slow subscribers with the {backend} backend: drop the \
                 oldest events, or close the subscription"
            ),
            Self::Unreachable {
                target,
                reason,
                retry,
            } => match retry {
                Some(retry) => write!(
                    f,
                    "cannot reach {target}: {reason} (tried again at least every {retry:?})"
                ),
                None => write!(f, "cannot reach {target}: {reason}"),
            },
            Self::Unconfirmed { target, reason } => write!(
                f,
                "no answer from {target}: {reason} (the operation may have taken effect)"
            ),
            Self::Refused { target, reason } => write!(f, "{target} refused: {reason}"),
            Self::InvalidUrl { reason } => write!(f, "{reason}"),
            Self::Serialise { reason } => write!(f, "cannot serialise the value: {reason}"),
            Self::Closed => write!(f, "the channel layer is closed"),
        }
    }
}

impl std::error::Error for Error {}
