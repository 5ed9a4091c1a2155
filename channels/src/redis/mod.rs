//! The backend on Redis.

mod address;
mod cluster;
mod connection;
mod driver;
mod feed;
mod keys;
mod nodes;
mod presence;
mod scripts;
mod sentinel;
mod shared;
mod slots;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::{FromRedisValue, ScriptInvocation};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use self::address::Store;
pub(crate) use self::address::is_redis_url;
use self::cluster::Cluster;
use self::connection::{Connector, Session, is_elsewhere};
use self::feed::{Feed, backlog};
use self::keys::Keys;
use self::nodes::{LOOK, Link, Node};
use self::presence::process_of;
use self::scripts::Caller;
use self::shared::Shared;
use crate::backend::{Backend, BoxFuture, EventLog, Opened, Start, Topic};
use crate::{Error, Health, Member, MemberId, Payload, Sequence, Settings};

/// A backend on Redis 6 or later, or a server that is compatible, for any number of processes.
///
/// Each process has one connection for commands and one for all its subscriptions, to each primary of a cluster. A
/// publication is one script:
/// it appends the event to a stream, which is the history, and publishes it to the subscribers, with sharded pub/sub
/// where there is (Redis 7). Each event names the event before it. A process that finds a gap in this way, or
/// that has connected again, reads the missing events from the stream; what the stream no longer has is a
/// [`Missed`](crate::Missed).
///
/// A backend that has connected once connects again for as long as it lives, at most a second after the last attempt.
#[derive(Debug)]
pub struct RedisBackend {
    shared: Arc<Shared>,
    /// The task that knows the nodes of a cluster.
    cluster: Option<AbortHandle>,
}

impl RedisBackend {
    /// Connects to a Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, with `rediss` for TLS,
    /// `unix:///PATH` for a Unix socket, `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE` for the master that sentinels
    /// know, or `redis+cluster://HOST:PORT,HOST:PORT` for a cluster. The [chapter](crate::documents::channels) has
    /// all forms and parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`]; [`Error::Unreachable`] if there is no Redis, or it refuses the connection or
    /// a script.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self, Error> {
        let shared = Shared::new(settings);
        // What has been started is stopped when this is dropped.
        let mut backend = Self {
            shared: Arc::clone(&shared),
            cluster: None,
        };
        match Store::parse(url)? {
            Store::Single(address) => {
                let connector = Connector::new(*address, shared.settings.clone());
                let (node, changes) = Node::new(connector);
                let session = shared.connect(&node).await;
                let session = session.map_err(|error| node.connector.not_started(&error))?;
                node.set_link(Link::Up(session.clone()));
                shared.nodes.replace(vec![(0, Arc::clone(&node))]);
                cluster::start(&shared, &node, Some(session), changes);
            }
            Store::Cluster { seeds, info } => {
                let cluster = Cluster::new(seeds, *info, &shared.settings);
                cluster.connect(&shared).await?;
                let watching = tokio::spawn(cluster.watch(shared));
                backend.cluster = Some(watching.abort_handle());
            }
        }
        Ok(backend)
    }

    /// Runs a script on the node that has the keys, and waits for its answer as long as an operation may take. A
    /// script that no node runs, because the slot is on its way to another, is called again until then.
    async fn call<'a, T: FromRedisValue>(
        &self,
        keys: &Keys,
        script: impl Fn(Caller<'_>) -> ScriptInvocation<'a>,
    ) -> Result<(Session, T), Error> {
        let shared = &self.shared;
        let begun = Instant::now();
        loop {
            let session = shared.session(keys).await?;
            let mut connection = session.commands.clone();
            let call = script(shared.caller(&session));
            let answer = timeout(shared.settings.timeout, call.invoke_async(&mut connection));
            match answer.await {
                Ok(Ok(value)) => return Ok((session, value)),
                Ok(Err(error))
                    if is_elsewhere(&error) && begun.elapsed() < shared.settings.timeout =>
                {
                    shared.nodes.moved.notify_one();
                    sleep(LOOK).await;
                }
                Ok(Err(error)) => {
                    session.note(&error);
                    return Err(session.connector.error(&error));
                }
                Err(_) => return Err(session.connector.timed_out()),
            }
        }
    }

    /// Waits for a command as long as an operation may take.
    async fn answer<T>(
        &self,
        session: &Session,
        command: impl Future<Output = Result<T, redis::RedisError>>,
    ) -> Result<T, Error> {
        match timeout(self.shared.settings.timeout, command).await {
            Ok(answer) => answer.map_err(|error| {
                session.note(&error);
                session.connector.error(&error)
            }),
            Err(_) => Err(session.connector.timed_out()),
        }
    }

    async fn publish(&self, topic: &Topic, payload: &Payload) -> Result<Sequence, Error> {
        let shared = &self.shared;
        let member = topic.member().map_or("", MemberId::as_str);
        let (keys, body) = (shared.keys(topic), wire::encode(payload));
        let script = |caller: Caller<'_>| shared.scripts.publish(&keys, member, body, caller);
        let (_, number): (_, u64) = self.call(&keys, script).await?;
        match topic.member() {
            Some(member) if number == 0 => Err(Error::NoSuchMember(member.clone())),
            _ => {
                let number = Sequence::new(number);
                shared.raise_floor(number);
                Ok(number)
            }
        }
    }

    /// Subscribes to the channel of a feed, and gives it a log.
    async fn attach(&self, feed: &Arc<Feed>) -> Result<(), Error> {
        let shared = &self.shared;
        let session = shared.subscribe(feed).await?;
        let (_, head) = self.head(feed).await?;
        feed.attach(EventLog::new(head, &shared.settings));
        let is_behind = feed.announce(head);
        // A new connection may not have found the log, and so has not read what this one did not receive.
        let current = shared
            .nodes
            .of(&feed.keys.stream)
            .and_then(|node| node.session());
        let is_replaced = current.is_none_or(|it| it.generation != session.generation);
        if is_behind || is_replaced {
            shared.fetch_in_background(feed);
        }
        Ok(())
    }

    /// Returns the number of the last event of a feed. The stream exists afterwards.
    async fn head(&self, feed: &Feed) -> Result<(Session, Sequence), Error> {
        let script = |caller: Caller<'_>| self.shared.scripts.open(&feed.keys, caller);
        let (session, head): (_, u64) = self.call(&feed.keys, script).await?;
        Ok((session, Sequence::new(head)))
    }

    async fn open(&self, topic: &Topic, start: Start) -> Result<Opened, Error> {
        loop {
            let opening = Opening {
                shared: &self.shared,
                feed: Some(self.shared.feed_of(topic)),
            };
            let feed = opening.feed.as_ref().expect("is taken when dropped");
            feed.attached.get_or_try_init(|| self.attach(feed)).await?;
            let log = feed.log().expect("the feed is attached");
            let opened = match start {
                Start::Now => self.shared.with_feed(feed, || Opened {
                    backlog: Vec::new(),
                    reader: log.reader(),
                }),
                Start::After(after) => self.open_after(feed, log, after).await?,
            };
            // Another reader may have been the last one meanwhile, and the feed be forgotten.
            if let Some(opened) = opened {
                return Ok(opened);
            }
        }
    }

    /// Opens a feed after a number. Returns `None` if the feed was forgotten.
    async fn open_after(
        &self,
        feed: &Arc<Feed>,
        log: &Arc<EventLog>,
        after: Sequence,
    ) -> Result<Option<Opened>, Error> {
        // The reader keeps the feed, and its position is where the backlog ends.
        let kept = self.shared.with_feed(feed, || {
            log.reader_if_kept(after).ok_or_else(|| log.reader())
        });
        let reader = match kept {
            Some(Ok(reader)) => {
                let backlog = Vec::new();
                return Ok(Some(Opened { backlog, reader }));
            }
            Some(Err(reader)) => reader,
            None => return Ok(None),
        };
        let mut session = self.shared.session(&feed.keys).await?;
        let mut opened = Opened {
            backlog: Vec::new(),
            reader,
        };
        let mut head = opened.reader.seen();
        if after > head {
            // Another process may have seen more than this one has received.
            let last;
            (session, last) = self.head(feed).await?;
            if after > last {
                let (asked, head) = (after, last);
                return Err(Error::SequenceAhead { asked, head });
            }
            feed.announce(last);
            self.answer(&session, self.shared.fetch(&session, feed, true))
                .await?;
            opened.reader = log.reader();
            head = opened.reader.seen();
        }
        let history = self.shared.history(&session, &feed.keys, after, head);
        opened.backlog = backlog(after, head, self.answer(&session, history).await?);
        Ok(Some(opened))
    }

    async fn members(&self, group: &Topic) -> Result<Vec<Member>, Error> {
        let shared = &self.shared;
        let keys = shared.keys(group);
        let script = |caller: Caller<'_>| shared.scripts.members(&keys, "list", caller);
        let (_, listed): (_, Vec<Vec<u8>>) = self.call(&keys, script).await?;
        let mut members: Vec<Member> = listed
            .chunks_exact(2)
            .filter_map(|pair| wire::decode_member(&pair[0], &pair[1]))
            .collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(members)
    }

    async fn member_count(&self, group: &Topic) -> Result<usize, Error> {
        let shared = &self.shared;
        let keys = shared.keys(group);
        let script = |caller: Caller<'_>| shared.scripts.members(&keys, "count", caller);
        let (_, count) = self.call(&keys, script).await?;
        Ok(count)
    }

    async fn join(&self, group: &Topic, member: &Member) -> Result<(), Error> {
        let shared = &self.shared;
        let keys = shared.keys(group);
        let (process, id) = (process_of(&member.id), member.id.as_str());
        let data = wire::encode_data(&member.data);
        let script = |caller: Caller<'_>| shared.scripts.join(&keys, process, id, &data, caller);
        let (_, ()) = self.call(&keys, script).await?;
        // A heartbeat that came between would let the member join twice.
        shared.presence.add(group, member);
        Ok(())
    }

    async fn leave(&self, group: &Topic, member: &MemberId) -> Result<(), Error> {
        let shared = &self.shared;
        shared.presence.remove(group, member);
        let keys = shared.keys(group);
        let script = |caller: Caller<'_>| shared.scripts.leave(&keys, member.as_str(), caller);
        let result = self.call(&keys, script).await.map(|(_, ())| ());
        match result {
            Ok(()) => self.shared.presence.confirm_left(group, member),
            Err(_) => self.shared.presence.leaving.notify_one(),
        }
        result
    }

    async fn close(&self) {
        let shared = &self.shared;
        shared.presence.remove_all();
        self.stop();
        let nodes = shared.nodes.all();
        let links: Vec<_> = nodes.iter().map(|node| node.stop(Link::Closed)).collect();
        let leaving = async {
            for (topic, id) in shared.presence.left() {
                let key = shared.keys(&topic).stream;
                let index = nodes.iter().position(|node| shared.nodes.has(node, &key));
                if let Some(Link::Up(session)) = index.and_then(|index| links.get(index))
                    && shared.leave(session, &topic, &id).await.is_err()
                {
                    // The other processes forget the rest in time.
                    break;
                }
            }
        };
        let _ = timeout(shared.settings.timeout, leaving).await;
        shared.close_logs();
    }

    fn stop(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.abort();
        }
    }
}

/// A feed that is being opened. It is forgotten if it has no reader at the end, also when the task that opens it
/// is dropped.
#[derive(Debug)]
struct Opening<'a> {
    shared: &'a Shared,
    feed: Option<Arc<Feed>>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(feed) = self.feed.take() {
            let topic = feed.topic.clone();
            drop(feed);
            self.shared.release(&topic);
        }
    }
}

impl Drop for RedisBackend {
    fn drop(&mut self) {
        self.stop();
        for node in self.shared.nodes.all() {
            node.stop(Link::Closed);
        }
    }
}

impl Backend for RedisBackend {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        payload: Payload,
    ) -> BoxFuture<'a, Result<Sequence, Error>> {
        Box::pin(async move { self.publish(topic, &payload).await })
    }

    fn open<'a>(&'a self, topic: &'a Topic, start: Start) -> BoxFuture<'a, Result<Opened, Error>> {
        Box::pin(self.open(topic, start))
    }

    fn release(&self, topic: &Topic) {
        self.shared.release(topic);
    }

    fn join<'a>(&'a self, group: &'a Topic, member: Member) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.join(group, &member).await })
    }

    fn leave<'a>(
        &'a self,
        group: &'a Topic,
        member: &'a MemberId,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.leave(group, member))
    }

    fn leave_in_background(&self, group: &Topic, member: &MemberId) {
        self.shared.presence.remove(group, member);
        self.shared.presence.leaving.notify_one();
    }

    fn members<'a>(&'a self, group: &'a Topic) -> BoxFuture<'a, Result<Vec<Member>, Error>> {
        Box::pin(self.members(group))
    }

    fn member_count<'a>(&'a self, group: &'a Topic) -> BoxFuture<'a, Result<usize, Error>> {
        Box::pin(self.member_count(group))
    }

    fn health(&self) -> Health {
        self.shared.nodes.health()
    }

    fn reconnects(&self) -> u64 {
        self.shared.reconnects.load(Ordering::Relaxed)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close())
    }
}
