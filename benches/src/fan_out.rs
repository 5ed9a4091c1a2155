//! The way of messages from one publisher to many tasks of the same process, without sockets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use callgate_channels::{ChannelLayer, GroupEvent, Payload};
use clap::ValueEnum;
use tokio::sync::{Notify, broadcast};

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    /// A group of the channel layer, in memory.
    Group,
    /// tokio's broadcast channel, with as much room as a group has by default.
    Broadcast,
}

/// The bytes of a message.
const SIZE: usize = 64;

/// Publishes messages, each when all subscribers have the one before, and returns how long this took.
///
/// # Errors
///
/// Returns an error if a subscriber did not receive each message once and in order.
pub async fn run(channel: Channel, subscribers: usize, messages: u64) -> io::Result<Duration> {
    let round = Arc::new(Round::default());
    let all = async {
        match channel {
            Channel::Group => group(&round, subscribers, messages).await,
            Channel::Broadcast => broadcast(&round, subscribers, messages).await,
        }
    };
    tokio::time::timeout(LIMIT, all)
        .await
        .map_err(|_| io::Error::other("a message was not delivered"))?
}

async fn group(round: &Arc<Round>, subscribers: usize, messages: u64) -> io::Result<Duration> {
    let group = ChannelLayer::memory().group("bench");
    for _ in 0..subscribers {
        let round = Arc::clone(round);
        let mut subscription = group.subscribe().await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            let mut number = 0;
            while let Some(event) = subscription.next().await {
                let GroupEvent::Message(message) = event else {
                    return;
                };
                round.receive(message.payload.as_bytes(), &mut number);
            }
        });
    }
    let begun = Instant::now();
    for number in 0..messages {
        round.begin(subscribers);
        let payload = Payload::Binary(content(number));
        group.publish(payload).await.map_err(io::Error::other)?;
        round.complete.notified().await;
    }
    Ok(begun.elapsed())
}

async fn broadcast(round: &Arc<Round>, subscribers: usize, messages: u64) -> io::Result<Duration> {
    let sender = broadcast::Sender::new(256);
    for _ in 0..subscribers {
        let round = Arc::clone(round);
        let mut receiver = sender.subscribe();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok(message) = receiver.recv().await {
                let message: Bytes = message;
                round.receive(&message, &mut number);
            }
        });
    }
    let begun = Instant::now();
    for number in 0..messages {
        round.begin(subscribers);
        sender.send(content(number)).map_err(io::Error::other)?;
        round.complete.notified().await;
    }
    Ok(begun.elapsed())
}

fn content(number: u64) -> Bytes {
    let mut content = [b'x'; SIZE];
    content[..8].copy_from_slice(&number.to_be_bytes());
    Bytes::copy_from_slice(&content)
}

/// A message on its way to all subscribers.
#[derive(Debug, Default)]
struct Round {
    /// The subscribers that have not received the message.
    waiting: AtomicUsize,
    complete: Notify,
}

/// The longest time until all subscribers have all messages.
const LIMIT: Duration = Duration::from_secs(120);

impl Round {
    fn begin(&self, subscribers: usize) {
        self.waiting.store(subscribers, Ordering::Relaxed);
    }

    /// Takes a message that is to have this number.
    fn receive(&self, content: &[u8], number: &mut u64) {
        // A round with another message is never complete.
        if content.first_chunk() == Some(&number.to_be_bytes()) {
            *number += 1;
            if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.complete.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn each_subscriber_gets_each_message() {
        for channel in [Channel::Group, Channel::Broadcast] {
            run(channel, 3, 1_000).await.expect("all is delivered");
        }
    }

    #[test]
    fn a_message_with_another_number_does_not_complete_a_round() {
        let round = Round::default();
        round.begin(1);
        round.receive(&content(1), &mut 0);
        assert!(round.complete.notified().now_or_never().is_none());
        round.receive(&content(0), &mut 0);
        assert!(round.complete.notified().now_or_never().is_some());
    }
}
