//! The task that keeps the connections, the subscriptions and the members of this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::RedisError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection::{LONGEST_RETRY, Session};
use super::feed::Feed;
use super::shared::{Link, Shared};
use crate::{Error, Sequence};

/// The time before the second attempt to connect, which doubles for each attempt.
const FIRST_RETRY: Duration = Duration::from_millis(50);

/// The number of subscriptions that are changed at a time.
const CHANGES: usize = 256;

/// The number of scripts that run at a time in the background.
const CONCURRENCY: usize = 16;

/// A change of what the connection is subscribed to.
#[derive(Debug)]
pub(super) enum Change {
    /// Subscribes, and answers.
    Subscribe(String, oneshot::Sender<()>),
    /// Unsubscribes, unless the channel is read again by then.
    Unsubscribe(String),
}

/// Keeps the connections until the layer is closed.
pub(super) async fn drive(
    shared: Arc<Shared>,
    first: Session,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    let mut session = first;
    loop {
        let reason = serve(&shared, &session, &mut changes).await;
        let since = SystemTime::now();
        let mut reason = shared.connector.reason(&reason);
        let mut retry = FIRST_RETRY;
        session = loop {
            let health = Link::Down {
                since,
                reason: reason.clone(),
            };
            if !shared.set_link(health) {
                return;
            }
            // The next connection subscribes to what is read then.
            while changes.try_recv().is_ok() {}
            match restore(&shared, session.generation + 1).await {
                Ok(session) => break session,
                Err(error) => reason = shared.connector.reason(&error),
            }
            sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        };
        shared.reconnects.fetch_add(1, Ordering::Relaxed);
        if !shared.set_link(Link::Up(session.clone())) {
            return;
        }
    }
}

/// Connects, subscribes to what this process reads, and fetches what it has not received meanwhile.
async fn restore(shared: &Arc<Shared>, generation: u64) -> Result<Session, RedisError> {
    let session = shared.connect(generation).await?;
    let feeds = shared.feeds();
    for feeds in feeds.chunks(CHANGES) {
        let changes: Vec<_> = feeds
            .iter()
            .map(|feed| (true, feed.keys.stream.clone()))
            .collect();
        session.change_subscriptions(&changes).await?;
    }
    stream::iter(feeds.into_iter().map(Ok::<_, RedisError>))
        .try_for_each_concurrent(CONCURRENCY, |feed| {
            let session = &session;
            async move { shared.fetch(session, &feed, true).await }
        })
        .await?;
    heartbeat(shared, &session).await?;
    Ok(session)
}

/// Serves one session, until a connection is lost.
async fn serve(
    shared: &Arc<Shared>,
    session: &Session,
    changes: &mut mpsc::UnboundedReceiver<Change>,
) -> RedisError {
    let mut heartbeats = interval(shared.heartbeat_interval());
    heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pings = interval(shared.settings.timeout.min(LONGEST_RETRY));
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        let done = tokio::select! {
            () = session.lost.notified() => Err(disconnected()),
            _ = pings.tick() => session.ping().await,
            _ = heartbeats.tick() => heartbeat(shared, session).await,
            () = shared.presence.leaving.notified() => leave(shared, session).await,
            _ = changes.recv_many(&mut batch, CHANGES) => {
                change(shared, session, &mut batch).await
            }
        };
        if let Err(reason) = done {
            return reason;
        }
    }
}

fn disconnected() -> RedisError {
    std::io::Error::new(
        std::io::ErrorKind::ConnectionReset,
        "the connection was lost",
    )
    .into()
}

async fn change(
    shared: &Shared,
    session: &Session,
    batch: &mut Vec<Change>,
) -> Result<(), RedisError> {
    let mut commands = Vec::new();
    let mut answers = Vec::new();
    for change in batch.drain(..) {
        match change {
            Change::Subscribe(channel, answer) => {
                commands.push((true, channel));
                answers.push(answer);
            }
            Change::Unsubscribe(channel) => {
                if !shared.is_read(&channel) {
                    commands.push((false, channel));
                }
            }
        }
    }
    session.change_subscriptions(&commands).await?;
    for answer in answers {
        // Nobody waits for the answer of a subscription that was given up.
        let _ = answer.send(());
    }
    Ok(())
}

/// Tells Redis that this process is alive, and learns what it has missed.
async fn heartbeat(shared: &Arc<Shared>, session: &Session) -> Result<(), RedisError> {
    shared.connector.confirm(session).await?;
    leave(shared, session).await?;
    let beats = shared.topics_to_keep();
    let silent = stream::iter(beats)
        .map(async |(topic, process)| {
            let keys = shared.keys(&topic);
            let mut connection = session.commands.clone();
            let (last, known): (u64, u8) = shared
                .scripts
                .heartbeat(
                    &keys,
                    topic.member().is_some(),
                    &process,
                    shared.caller(session),
                )
                .invoke_async(&mut connection)
                .await?;
            if known == 0 {
                for member in shared.presence.members(&topic) {
                    shared.join(session, &topic, &member).await?;
                    shared.presence.leave_again_if_left(&topic, &member.id);
                }
            }
            Ok::<_, RedisError>(
                shared
                    .feed(&keys.stream)
                    .filter(|feed| feed.announce(Sequence::new(last))),
            )
        })
        .buffer_unordered(CONCURRENCY)
        .try_filter_map(|feed| std::future::ready(Ok(feed)))
        .try_collect::<Vec<Arc<Feed>>>()
        .await?;
    for feed in silent {
        shared.fetch(session, &feed, false).await?;
    }
    Ok(())
}

/// Removes the members that have left without waiting.
async fn leave(shared: &Shared, session: &Session) -> Result<(), RedisError> {
    for (topic, member) in shared.presence.left() {
        match shared.leave(session, &topic, &member).await {
            Ok(()) => shared.presence.confirm_left(&topic, &member),
            Err(error) if matches!(shared.connector.error(&error), Error::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
