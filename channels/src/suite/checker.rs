//! Proves that a subscription has yielded each message once, in order, or has said that it is missing.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::{GroupEvent, Missed, Payload, Sequence};

/// What was published to a group.
#[derive(Clone, Debug, Default)]
pub struct Published {
    confirmed: BTreeMap<Sequence, Payload>,
    unconfirmed: HashSet<Payload>,
}

/// What one subscription has yielded.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The number after which the subscription began.
    pub start: Sequence,
    /// The events, in the order in which they were yielded.
    pub events: Vec<GroupEvent>,
}

/// What a checked subscription has yielded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// The published messages that were yielded.
    pub yielded: usize,
    /// The published messages in gaps.
    pub missed: usize,
    /// The gaps.
    pub gaps: usize,
}

/// How a subscription breaks the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// An event has a number that is not greater than those before, or that is in a gap before.
    OutOfOrder {
        /// The number of the event.
        sequence: Sequence,
        /// The number that was reached before.
        after: Sequence,
    },
    /// A message was published, and is neither yielded nor in a gap.
    Lost(Sequence),
    /// A gap does not begin after the last event, or ends before it begins.
    MisplacedGap {
        /// The gap.
        missed: Missed,
        /// The number that was reached before.
        after: Sequence,
    },
    /// A message was never published.
    Invented(Sequence),
    /// A message has the content of another.
    Altered(Sequence),
}

impl Published {
    /// Creates an empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a message that was published.
    pub fn confirm(&mut self, sequence: Sequence, payload: Payload) {
        self.confirmed.insert(sequence, payload);
    }

    /// Records a message that may have been published.
    pub fn leave_open(&mut self, payload: Payload) {
        self.unconfirmed.insert(payload);
    }

    /// Returns the number of the last message that was published.
    #[must_use]
    pub fn last(&self) -> Option<Sequence> {
        self.confirmed.keys().next_back().copied()
    }

    /// Returns the number of messages that were published for certain.
    #[must_use]
    pub fn len(&self) -> usize {
        self.confirmed.len()
    }

    /// Returns whether no message was published for certain.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.confirmed.is_empty()
    }

    /// Checks a subscription that has read everything.
    ///
    /// # Errors
    ///
    /// Returns the first violation.
    pub fn check(&self, observed: &Observed) -> Result<Summary, Violation> {
        let mut summary = Summary::default();
        let mut reached = observed.start;
        for event in &observed.events {
            let sequence = event.sequence();
            if let GroupEvent::Missed(missed) = event {
                if missed.from != reached.next() || missed.to < missed.from {
                    let (missed, after) = (*missed, reached);
                    return Err(Violation::MisplacedGap { missed, after });
                }
                summary.gaps += 1;
                summary.missed += self.confirmed.range(missed.from..=missed.to).count();
            } else {
                if sequence <= reached {
                    let after = reached;
                    return Err(Violation::OutOfOrder { sequence, after });
                }
                self.check_between(reached, sequence)?;
            }
            if let GroupEvent::Message(message) = event {
                self.check_content(sequence, &message.payload)?;
                summary.yielded += 1;
            }
            reached = sequence;
        }
        if let Some(last) = self.last() {
            self.check_between(reached, last.next())?;
        }
        Ok(summary)
    }

    /// Checks that no message was published between two numbers, both exclusive.
    fn check_between(&self, after: Sequence, before: Sequence) -> Result<(), Violation> {
        if before <= after.next() {
            return Ok(());
        }
        match self.confirmed.range(after.next()..before).next() {
            Some((lost, _)) => Err(Violation::Lost(*lost)),
            None => Ok(()),
        }
    }

    fn check_content(&self, sequence: Sequence, payload: &Payload) -> Result<(), Violation> {
        match self.confirmed.get(&sequence) {
            Some(published) if published == payload => Ok(()),
            Some(_) => Err(Violation::Altered(sequence)),
            None if self.unconfirmed.contains(payload) => Ok(()),
            None => Err(Violation::Invented(sequence)),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { sequence, after } => {
                write!(f, "event {sequence} comes after {after}")
            }
            Self::Lost(sequence) => {
                write!(f, "message {sequence} is neither yielded nor in a gap")
            }
            Self::MisplacedGap { missed, after } => write!(
                f,
                "the gap from {} to {} comes after {after}",
                missed.from, missed.to
            ),
            Self::Invented(sequence) => write!(f, "message {sequence} was never published"),
            Self::Altered(sequence) => write!(f, "message {sequence} has another content"),
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    fn message(number: u64) -> GroupEvent {
        GroupEvent::Message(Message {
            sequence: Sequence::new(number),
            payload: number.to_string().into(),
        })
    }

    fn missed(from: u64, to: u64) -> GroupEvent {
        let (from, to) = (Sequence::new(from), Sequence::new(to));
        GroupEvent::Missed(Missed { from, to })
    }

    fn check(events: Vec<GroupEvent>) -> Result<Summary, Violation> {
        let mut published = Published::new();
        for number in [10, 20, 30, 40, 50] {
            published.confirm(Sequence::new(number), number.to_string().into());
        }
        published.leave_open("25".into());
        let start = Sequence::new(5);
        published.check(&Observed { start, events })
    }

    #[test]
    fn the_checker_accepts_messages_and_gaps_that_cover_the_rest() {
        let events = vec![
            message(10),
            missed(11, 20),
            message(25),
            message(30),
            missed(31, 60),
        ];
        let summary = Summary {
            yielded: 3,
            missed: 3,
            gaps: 2,
        };
        assert_eq!(check(events), Ok(summary));
    }

    #[test]
    fn the_checker_catches_each_mutant() {
        let all = [
            message(10),
            missed(11, 20),
            message(30),
            message(40),
            message(50),
        ];
        check(all.to_vec()).expect("the original is right");
        let number = Sequence::new;
        let mutants = [
            (
                "a lost message",
                [&all[..2], &all[3..]].concat(),
                Violation::Lost(number(30)),
            ),
            ("a lost end", all[..4].to_vec(), Violation::Lost(number(50))),
            (
                "a repeated message",
                [&all[..3], &all[2..]].concat(),
                Violation::OutOfOrder {
                    sequence: number(30),
                    after: number(30),
                },
            ),
            (
                "an exchanged order",
                vec![
                    message(10),
                    missed(11, 30),
                    message(40),
                    message(30),
                    message(50),
                ],
                Violation::OutOfOrder {
                    sequence: number(30),
                    after: number(40),
                },
            ),
            (
                "a gap that is too short",
                vec![
                    message(10),
                    missed(11, 19),
                    message(30),
                    message(40),
                    message(50),
                ],
                Violation::Lost(number(20)),
            ),
            (
                "a gap over a message that was yielded",
                vec![
                    message(10),
                    missed(11, 30),
                    message(30),
                    message(40),
                    message(50),
                ],
                Violation::OutOfOrder {
                    sequence: number(30),
                    after: number(30),
                },
            ),
            (
                "a gap that begins late",
                vec![
                    message(10),
                    missed(12, 20),
                    message(30),
                    message(40),
                    message(50),
                ],
                Violation::MisplacedGap {
                    missed: Missed {
                        from: number(12),
                        to: number(20),
                    },
                    after: number(10),
                },
            ),
            (
                "a message of nobody",
                vec![message(10), message(15)],
                Violation::Invented(number(15)),
            ),
        ];
        for (mutant, events, violation) in mutants {
            assert_eq!(check(events), Err(violation), "{mutant}");
        }
        let mut altered = all.to_vec();
        if let GroupEvent::Message(message) = &mut altered[2] {
            message.payload = "40".into();
        }
        assert_eq!(check(altered), Err(Violation::Altered(number(30))));
    }
}
