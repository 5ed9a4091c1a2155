//! What the driver and the operations of the backend share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::RedisError;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::connection::Session;
use super::driver::Change;
use super::feed::{Feed, Fetch};
use super::keys::Keys;
use super::nodes::{LOOK, Node, Nodes};
use super::presence::{Presence, process_of};
use super::scripts::{Caller, Scripts};
use super::wire::{Entry, encode_data};
use crate::backend::Topic;
use crate::sync::lock;
use crate::{Error, Member, MemberId, Sequence, Settings};

/// The number of events that are read from a stream at a time.
const PAGE: usize = 64;

/// Entries of a stream: the ID, and the names and values of the fields.
type StreamEntries = Vec<(String, Vec<Vec<u8>>)>;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) scripts: Scripts,
    pub(super) nodes: Nodes,
    generation: AtomicU64,
    pub(super) reconnects: AtomicU64,
    /// The topics that this process reads, by channel.
    feeds: Mutex<HashMap<String, Arc<Feed>>>,
    pub(super) presence: Presence,
    /// The greatest number that this process has seen of any group. A Redis whose clock is behind goes on
    /// above it.
    floor: AtomicU64,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            scripts: Scripts::new(&settings),
            settings,
            nodes: Nodes::default(),
            generation: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            feeds: Mutex::default(),
            presence: Presence::default(),
            floor: AtomicU64::new(0),
        })
    }

    pub(super) async fn connect(self: &Arc<Self>, node: &Node) -> Result<Session, RedisError> {
        let shared = Arc::downgrade(self);
        let receive = move |channel: &str, content: Option<_>| {
            if let Some(shared) = shared.upgrade() {
                match content {
                    Some(content) => shared.receive(channel, content),
                    None => shared.resubscribe_in_background(channel),
                }
            }
        };
        let generation = self.generation.fetch_add(1, Ordering::Relaxed);
        node.connector.connect(generation, receive).await
    }

    /// Returns the session of the node that has a topic, and waits for it as long as an operation may take.
    pub(super) async fn session(&self, keys: &Keys) -> Result<Session, Error> {
        let longest = self.settings.timeout;
        self.nodes.session(&keys.stream, longest).await
    }

    /// Subscribes to the channel of a feed, on the node that has it.
    pub(super) async fn subscribe(&self, feed: &Feed) -> Result<Session, Error> {
        let begun = Instant::now();
        loop {
            let session = self.session(&feed.keys).await?;
            let node = self.nodes.of(&feed.keys.stream).ok_or(Error::Closed)?;
            let (answer, subscribed) = oneshot::channel();
            let change = Change::Subscribe(feed.keys.stream.clone(), answer);
            // A node that is removed drops the change.
            let _ = node.changes.send(change);
            match timeout(self.settings.timeout, subscribed).await {
                Ok(Ok(())) => return Ok(session),
                Ok(Err(_)) if begun.elapsed() > self.settings.timeout => {
                    return Err(session
                        .connector
                        .unreachable("the connection was lost".into()));
                }
                Ok(Err(_)) => sleep(LOOK).await,
                Err(_) => return Err(session.connector.timed_out()),
            }
        }
    }

    /// Subscribes again to a channel that a node has given up, if this process reads it: the slot is on another node.
    pub(super) fn resubscribe_in_background(self: &Arc<Self>, channel: &str) {
        let Some(feed) = self.feed(channel) else {
            return;
        };
        self.nodes.moved.notify_one();
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            // A node that is not reached subscribes to all that is read once it is.
            while shared.is_read(&feed.keys.stream) {
                match shared.subscribe(&feed).await {
                    Ok(session) => {
                        let _ = shared.fetch(&session, &feed, false).await;
                        return;
                    }
                    Err(Error::Closed) => return,
                    Err(_) => sleep(LOOK).await,
                }
            }
        });
    }

    /// Returns how often Redis is told that this process is alive, and that its groups are read.
    pub(super) fn heartbeat_interval(&self) -> Duration {
        let shortest = Duration::from_millis(5);
        let Settings {
            presence_timeout,
            history_time,
            ..
        } = self.settings;
        presence_timeout.min(history_time).max(shortest * 3) / 3
    }

    pub(super) fn keys(&self, topic: &Topic) -> Keys {
        Keys::new(&self.settings.namespace, topic)
    }

    /// Returns what a script is told.
    pub(super) fn caller<'a>(&self, session: &'a Session) -> Caller<'a> {
        Caller {
            floor: Sequence::new(self.floor.load(Ordering::Relaxed)),
            server: &session.server,
        }
    }

    pub(super) fn raise_floor(&self, sequence: Sequence) {
        self.floor.fetch_max(sequence.get(), Ordering::Relaxed);
    }

    /// Receives a message of a channel.
    fn receive(self: &Arc<Self>, channel: &str, content: Vec<u8>) {
        let (Some(feed), Some(entry)) = (self.feed(channel), Entry::from_channel(content)) else {
            return;
        };
        self.raise_floor(entry.sequence);
        if feed.receive(entry) {
            self.fetch_in_background(&feed);
        }
    }

    pub(super) fn fetch_in_background(self: &Arc<Self>, feed: &Arc<Feed>) {
        let (shared, feed) = (Arc::clone(self), Arc::clone(feed));
        tokio::spawn(async move {
            // After an error the next session, or the next heartbeat, fetches.
            if let Ok(session) = shared.session(&feed.keys).await {
                let _ = shared.fetch(&session, &feed, false).await;
            }
        });
    }

    /// Reads the events that a log does not have.
    pub(super) async fn fetch(
        &self,
        session: &Session,
        feed: &Feed,
        is_new_connection: bool,
    ) -> Result<(), RedisError> {
        let mut next = feed.begin_fetch(is_new_connection);
        while let Fetch::Read { after, reached } = next {
            let mut connection = session.commands.clone();
            let read = self
                .scripts
                .resume(&feed.keys, after, reached, PAGE, self.caller(session))
                .invoke_async::<StreamEntries>(&mut connection)
                .await;
            match read {
                Ok(entries) => {
                    let is_last = entries.len() < PAGE;
                    next = feed.append_fetched(self.read_entries(entries), is_last);
                }
                Err(error) => {
                    feed.end_fetch();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Returns the events after one number up to another.
    pub(super) async fn history(
        &self,
        session: &Session,
        keys: &Keys,
        mut after: Sequence,
        to: Sequence,
    ) -> Result<Vec<Entry>, RedisError> {
        let mut entries = Vec::new();
        loop {
            let mut connection = session.commands.clone();
            let page: StreamEntries = redis::cmd("XRANGE")
                .arg(&keys.stream)
                .arg(format!("{after}-1"))
                .arg(format!("{to}-0"))
                .arg("COUNT")
                .arg(PAGE)
                .query_async(&mut connection)
                .await?;
            let is_last = page.len() < PAGE;
            entries.extend(self.read_entries(page));
            match entries.last() {
                Some(last) if !is_last => after = last.sequence,
                _ => return Ok(entries),
            }
        }
    }

    fn read_entries(&self, entries: StreamEntries) -> Vec<Entry> {
        let read = |(id, fields): (String, _)| Entry::from_stream(&id, fields);
        let entries: Vec<_> = entries.into_iter().filter_map(read).collect();
        if let Some(last) = entries.last() {
            self.raise_floor(last.sequence);
        }
        entries
    }
}

/// The topics that this process reads.
impl Shared {
    pub(super) fn feed(&self, channel: &str) -> Option<Arc<Feed>> {
        lock(&self.feeds).get(channel).cloned()
    }

    pub(super) fn is_read(&self, channel: &str) -> bool {
        lock(&self.feeds).contains_key(channel)
    }

    pub(super) fn feeds(&self) -> Vec<Arc<Feed>> {
        lock(&self.feeds).values().cloned().collect()
    }

    /// Returns the feeds whose topics a node has.
    pub(super) fn feeds_of(&self, node: &Arc<Node>) -> Vec<Arc<Feed>> {
        let mut feeds = self.feeds();
        feeds.retain(|feed| self.nodes.has(node, &feed.keys.stream));
        feeds
    }

    /// Returns the feed of a topic, which is created if need be.
    pub(super) fn feed_of(&self, topic: &Topic) -> Arc<Feed> {
        let keys = self.keys(topic);
        let mut feeds = lock(&self.feeds);
        let feed = feeds
            .entry(keys.stream.clone())
            .or_insert_with(|| Feed::new(topic.clone(), keys));
        Arc::clone(feed)
    }

    /// Calls `with` if a feed is still one of this process, so that it is not removed meanwhile.
    pub(super) fn with_feed<T>(&self, feed: &Arc<Feed>, with: impl FnOnce() -> T) -> Option<T> {
        let feeds = lock(&self.feeds);
        let current = feeds.get(&feed.keys.stream);
        let is_current = current.is_some_and(|current| Arc::ptr_eq(current, feed));
        is_current.then(with)
    }

    /// Forgets the feed of a topic if nobody reads it.
    pub(super) fn release(&self, topic: &Topic) {
        let channel = self.keys(topic).stream;
        let mut feeds = lock(&self.feeds);
        let is_unread = |feed: &Arc<Feed>| feed.log().is_none_or(|log| log.readers() == 0);
        // A feed that is being attached is held by those who wait for it.
        let is_attaching = |feed: &Arc<Feed>| feed.log().is_none() && Arc::strong_count(feed) > 1;
        if feeds
            .get(&channel)
            .is_some_and(|feed| is_unread(feed) && !is_attaching(feed))
        {
            feeds.remove(&channel);
            drop(feeds);
            if let Some(node) = self.nodes.of(&channel) {
                // There is nothing to unsubscribe from when the driver is gone.
                let _ = node.changes.send(Change::Unsubscribe(channel));
            }
        }
    }

    /// Ends all readers.
    pub(super) fn close_logs(&self) {
        let feeds = std::mem::take(&mut *lock(&self.feeds));
        for log in feeds.values().filter_map(|feed| feed.log()) {
            drop(log.close());
        }
    }
}

/// The members of this process.
impl Shared {
    /// Returns the topics to keep on a node, each with the process if the process has members in it.
    pub(super) fn topics_to_keep(&self, node: &Arc<Node>) -> Vec<(Topic, String)> {
        let mut topics: HashMap<Topic, String> = self
            .feeds_of(node)
            .into_iter()
            .filter(|feed| feed.log().is_some())
            .map(|feed| (feed.topic.clone(), String::new()))
            .collect();
        let is_on_node = |topic: &Topic| self.nodes.has(node, &self.keys(topic).stream);
        let processes = self.presence.processes().into_iter();
        topics.extend(processes.filter(|(topic, _)| is_on_node(topic)));
        topics.into_iter().collect()
    }

    pub(super) async fn join(
        &self,
        session: &Session,
        topic: &Topic,
        member: &Member,
    ) -> Result<(), RedisError> {
        let (id, data) = (&member.id, encode_data(&member.data));
        let mut connection = session.commands.clone();
        self.scripts
            .join(
                &self.keys(topic),
                process_of(id),
                id.as_str(),
                &data,
                self.caller(session),
            )
            .invoke_async(&mut connection)
            .await
    }

    pub(super) async fn leave(
        &self,
        session: &Session,
        topic: &Topic,
        id: &MemberId,
    ) -> Result<(), RedisError> {
        let mut connection = session.commands.clone();
        self.scripts
            .leave(&self.keys(topic), id.as_str(), self.caller(session))
            .invoke_async(&mut connection)
            .await
    }
}
