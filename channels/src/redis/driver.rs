//! The task that keeps the connections, the subscriptions and the members of this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::RedisError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::address::plain;
use super::connection::{LONGEST_RETRY, Session, is_elsewhere};
use super::feed::Feed;
use super::nodes::{Link, Node};
use super::shared::Shared;
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

/// Keeps the connections to a node until the layer is closed, or the node removed.
pub(super) async fn drive(
    shared: Arc<Shared>,
    node: Arc<Node>,
    first: Option<Session>,
    mut changes: mpsc::UnboundedReceiver<Change>,
) {
    let mut session = first;
    loop {
        let reason = match &session {
            Some(session) => {
                let error = serve(&shared, &node, session, &mut changes).await;
                plain(&error)
            }
            None => "not connected yet".to_owned(),
        };
        session = reconnect(&shared, &node, reason, &mut changes).await;
        if session.is_none() {
            return;
        }
        shared.reconnects.fetch_add(1, Ordering::Relaxed);
    }
}

/// Connects again, for as long as it takes. Returns nothing if the node is stopped.
async fn reconnect(
    shared: &Arc<Shared>,
    node: &Arc<Node>,
    mut reason: String,
    changes: &mut mpsc::UnboundedReceiver<Change>,
) -> Option<Session> {
    let since = SystemTime::now();
    let mut retry = FIRST_RETRY;
    loop {
        let down = Link::Down { since, reason };
        if !node.set_link(down) {
            return None;
        }
        // The next connection subscribes to what is read then.
        while changes.try_recv().is_ok() {}
        match restore(shared, node).await {
            Ok(session) => {
                let is_open = node.set_link(Link::Up(session.clone()));
                return is_open.then_some(session);
            }
            Err(error) => reason = plain(&error),
        }
        // Another node may have its slots by now.
        shared.nodes.moved.notify_one();
        sleep(retry).await;
        retry = (retry * 2).min(LONGEST_RETRY);
    }
}

/// Connects, subscribes to what this process reads, and fetches what it has not received meanwhile.
async fn restore(shared: &Arc<Shared>, node: &Arc<Node>) -> Result<Session, RedisError> {
    let session = shared.connect(node).await?;
    let feeds = shared.feeds_of(node);
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
    heartbeat(shared, node, &session).await?;
    Ok(session)
}

/// Serves one session, until a connection is lost.
async fn serve(
    shared: &Arc<Shared>,
    node: &Arc<Node>,
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
            _ = heartbeats.tick() => heartbeat(shared, node, session).await,
            () = shared.presence.leaving.notified() => leave(shared, node, session).await,
            _ = changes.recv_many(&mut batch, CHANGES) => {
                change(shared, session, &mut batch).await
            }
        };
        match done {
            Ok(()) => {}
            Err(error) if is_elsewhere(&error) => shared.nodes.moved.notify_one(),
            Err(reason) => return reason,
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
async fn heartbeat(
    shared: &Arc<Shared>,
    node: &Arc<Node>,
    session: &Session,
) -> Result<(), RedisError> {
    node.connector.confirm(session).await?;
    leave(shared, node, session).await?;
    let beats = shared.topics_to_keep(node);
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

/// Removes the members that have left without waiting, on whichever node they are.
async fn leave(shared: &Shared, node: &Arc<Node>, session: &Session) -> Result<(), RedisError> {
    for (topic, member) in shared.presence.left() {
        let is_here = shared.nodes.has(node, &shared.keys(&topic).stream);
        let other = match is_here {
            true => None,
            false => shared
                .nodes
                .of(&shared.keys(&topic).stream)
                .and_then(|node| node.session()),
        };
        let session = match (is_here, &other) {
            (true, _) => session,
            (false, Some(other)) => other,
            // Its driver removes them once it has connected.
            (false, None) => continue,
        };
        match shared.leave(session, &topic, &member).await {
            Ok(()) => shared.presence.confirm_left(&topic, &member),
            Err(error) if matches!(node.connector.error(&error), Error::Refused { .. }) => {}
            Err(error) if is_here => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}
