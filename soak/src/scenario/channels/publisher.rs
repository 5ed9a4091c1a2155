//! The connections that publish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use callgate_channels::{Payload, Sequence};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep, timeout};

use super::group::{END, Group};
use super::reader::next;
use crate::client::http1::Connection;
use crate::client::websocket::{FIN, TEXT, frame, open_at};
use crate::rooms::PUBLISH;

/// The time between two messages of a publisher.
const PAUSE: Duration = Duration::from_millis(80);
/// The time after which a publication has no answer.
const UNANSWERED: Duration = Duration::from_secs(20);
/// The longest time until each process reaches the Redis again.
const REACHED: Duration = Duration::from_secs(60);

/// How publications have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Publications {
    pub(super) confirmed: u64,
    pub(super) unconfirmed: u64,
    pub(super) unreachable: u64,
    pub(super) unanswered: u64,
    pub(super) longest: Duration,
}

/// Publishes different messages to groups at random.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) connection: Connection,
    pub(super) groups: Arc<[Group]>,
    pub(super) number: usize,
}

impl Publisher {
    pub(super) async fn run(mut self, end: Instant) -> io::Result<Publications> {
        let mut random = StdRng::seed_from_u64(self.number as u64);
        let mut publications = Publications::default();
        for count in 0.. {
            if Instant::now() >= end {
                break;
            }
            let group = random.random_range(0..self.groups.len());
            let content = format!("{}-{count}", self.number);
            let begun = Instant::now();
            let answer = self.publish(group, &content).await;
            publications.longest = publications.longest.max(begun.elapsed());
            let answer = answer?;
            publications.note(&self.groups[group], content.into(), answer);
            if matches!(answer, Answer::Missing) {
                break;
            }
            sleep(PAUSE).await;
        }
        Ok(publications)
    }

    async fn publish(&mut self, group: usize, content: &str) -> io::Result<Answer> {
        let text = format!("{} {content}", self.groups[group].name);
        publish(&mut self.connection, &text).await
    }
}

/// What a publisher is told.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Confirmed(Sequence),
    Unconfirmed,
    Unreachable,
    /// Nothing in time.
    Missing,
}

async fn publish(connection: &mut Connection, text: &str) -> io::Result<Answer> {
    connection.send(&frame(FIN | TEXT, text.as_bytes())).await?;
    let Ok(answer) = timeout(UNANSWERED, next(connection)).await else {
        return Ok(Answer::Missing);
    };
    let answer = answer?;
    match answer.split_once(' ') {
        Some(("confirmed", number)) => {
            let number = number.parse().map_err(io::Error::other)?;
            Ok(Answer::Confirmed(number))
        }
        _ if answer == "unconfirmed" => Ok(Answer::Unconfirmed),
        _ if answer == "unreachable" => Ok(Answer::Unreachable),
        _ => Err(io::Error::other(format!("the answer is {answer}"))),
    }
}

/// Publishes the last message of each group, once each process reaches the Redis.
pub(super) async fn publish_ends(addresses: &[SocketAddr], groups: &[Group]) -> io::Result<()> {
    let mut connections = Vec::new();
    for address in addresses {
        let mut connection = Connection::open(*address).await?;
        open_at(&mut connection, PUBLISH).await?;
        let begun = Instant::now();
        while !matches!(
            publish(&mut connection, "ready x").await?,
            Answer::Confirmed(_)
        ) {
            if begun.elapsed() > REACHED {
                return Err(io::Error::other("the Redis is not reached again"));
            }
        }
        connections.push(connection);
    }
    for group in groups {
        let text = format!("{} {END}", group.name);
        let Answer::Confirmed(number) = publish(&mut connections[0], &text).await? else {
            return Err(io::Error::other("the end is not published"));
        };
        group.record().confirm(number, END.into());
    }
    Ok(())
}

impl Publications {
    fn note(&mut self, group: &Group, content: Payload, answer: Answer) {
        let mut published = group.record();
        match answer {
            Answer::Confirmed(number) => {
                published.confirm(number, content);
                self.confirmed += 1;
            }
            Answer::Unconfirmed => {
                published.leave_open(content);
                self.unconfirmed += 1;
            }
            Answer::Unreachable => self.unreachable += 1,
            Answer::Missing => {
                published.leave_open(content);
                self.unanswered += 1;
            }
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.confirmed += other.confirmed;
        self.unconfirmed += other.unconfirmed;
        self.unreachable += other.unreachable;
        self.unanswered += other.unanswered;
        self.longest = self.longest.max(other.longest);
    }
}
