//! The backend on Redis.

mod address;
mod connection;
mod driver;
mod feed;
mod keys;
mod presence;
mod scripts;
mod sentinel;
mod shared;
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use self::address::is_redis_url;
use self::connection::{Connector, Session};
use self::driver::Change;
use self::feed::{Feed, backlog};
use self::shared::{Link, Shared};
use crate::backend::{Backend, BoxFuture, EventLog, Opened, Start, Topic};
use crate::{Error, Health, Member, MemberId, Payload, Sequence, Settings};

/// A backend on Redis 6 or later, or a server that is compatible, for any number of processes.
///
/// Each process has one connection for commands and one for all its subscriptions. A publication is one script:
/// it appends the event to a stream, which is the history, and publishes it to the subscribers, with sharded pub/sub
/// where there is (Redis 7). Each event names the event before it. A process that finds a gap in this way, or
/// that has connected again, reads the missing events from the stream; what the stream no longer has is a
/// [`Missed`](crate::Missed).
///
/// A backend that has connected once connects again for as long as it lives, at most a second after the last attempt.
#[derive(Debug)]
pub struct RedisBackend {
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
}

impl RedisBackend {
    /// Connects to a Redis: `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, with `rediss` for TLS,
    /// `unix:///PATH` for a Unix socket, or `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE` for the master that
    /// sentinels know. The [chapter](crate::documents::channels) has all forms and parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidUrl`]; [`Error::Unreachable`] if there is no Redis, or it refuses the connection or
    /// a script.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self, Error> {
        let connector = Connector::new(url, settings.clone())?;
        let (changes, receiver) = mpsc::unbounded_channel();
        let shared = Shared::new(connector, settings, changes);
        let session = shared
            .connect(0)
            .await
            .map_err(|error| shared.connector.not_started(&error))?;
        shared.set_link(Link::Up(session.clone()));
        let driver = tokio::spawn(driver::drive(Arc::clone(&shared), session, receiver));
        Ok(Self { shared, driver })
    }

    /// Waits for a command as long as an operation may take.
    async fn answer<T>(
        &self,
        session: &Session,
        command: impl Future<Output = Result<T, redis::RedisError>>,
    ) -> Result<T, Error> {
        let connector = &self.shared.connector;
        match timeout(self.shared.settings.timeout, command).await {
            Ok(answer) => answer.map_err(|error| {
                session.note(&error);
                connector.error(&error)
            }),
            Err(_) => Err(connector.timed_out()),
        }
    }

    async fn publish(&self, topic: &Topic, payload: &Payload) -> Result<Sequence, Error> {
        let shared = &self.shared;
        let session = shared.session().await?;
        let member = topic.member().map_or("", MemberId::as_str);
        let (keys, body) = (shared.keys(topic), wire::encode(payload));
        let caller = shared.caller(&session);
        let call = shared.scripts.publish(&keys, member, body, caller);
        let mut connection = session.commands.clone();
        let number: u64 = self
            .answer(&session, call.invoke_async(&mut connection))
            .await?;
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
        let session = shared.session().await?;
        let (answer, subscribed) = oneshot::channel();
        let change = Change::Subscribe(feed.keys.stream.clone(), answer);
        shared.changes.send(change).map_err(|_| Error::Closed)?;
        match timeout(shared.settings.timeout, subscribed).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                return Err(shared
                    .connector
                    .unreachable("the connection was lost".into()));
            }
            Err(_) => return Err(shared.connector.timed_out()),
        }
        let head = self.head(&session, feed).await?;
        feed.attach(EventLog::new(head, &shared.settings));
        let is_behind = feed.announce(head);
        // A new connection may not have found the log, and so has not read what this one did not receive.
        let is_replaced = match &*shared.link.borrow() {
            Link::Up(current) => current.generation != session.generation,
            _ => true,
        };
        if is_behind || is_replaced {
            shared.fetch_in_background(feed);
        }
        Ok(())
    }

    /// Returns the number of the last event of a feed. The stream exists afterwards.
    async fn head(&self, session: &Session, feed: &Feed) -> Result<Sequence, Error> {
        let mut connection = session.commands.clone();
        let caller = self.shared.caller(session);
        let call = self.shared.scripts.open(&feed.keys, caller);
        let head: u64 = self
            .answer(session, call.invoke_async(&mut connection))
            .await?;
        Ok(Sequence::new(head))
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
        let session = self.shared.session().await?;
        let mut opened = Opened {
            backlog: Vec::new(),
            reader,
        };
        let mut head = opened.reader.seen();
        if after > head {
            // Another process may have seen more than this one has received.
            let last = self.head(&session, feed).await?;
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
        let session = shared.session().await?;
        let (keys, caller) = (shared.keys(group), shared.caller(&session));
        let call = shared.scripts.members(&keys, "list", caller);
        let mut connection = session.commands.clone();
        let listed: Vec<Vec<u8>> = self
            .answer(&session, call.invoke_async(&mut connection))
            .await?;
        let mut members: Vec<Member> = listed
            .chunks_exact(2)
            .filter_map(|pair| wire::decode_member(&pair[0], &pair[1]))
            .collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(members)
    }

    async fn member_count(&self, group: &Topic) -> Result<usize, Error> {
        let shared = &self.shared;
        let session = shared.session().await?;
        let (keys, caller) = (shared.keys(group), shared.caller(&session));
        let call = shared.scripts.members(&keys, "count", caller);
        let mut connection = session.commands.clone();
        self.answer(&session, call.invoke_async(&mut connection))
            .await
    }

    async fn join(&self, group: &Topic, member: &Member) -> Result<(), Error> {
        let session = self.shared.session().await?;
        self.shared.presence.add(group, member);
        self.answer(&session, self.shared.join(&session, group, member))
            .await
    }

    async fn leave(&self, group: &Topic, member: &MemberId) -> Result<(), Error> {
        self.shared.presence.remove(group, member);
        let left = async {
            let session = self.shared.session().await?;
            self.answer(&session, self.shared.leave(&session, group, member))
                .await
        };
        let result = left.await;
        match result {
            Ok(()) => self.shared.presence.confirm_left(group, member),
            Err(_) => self.shared.presence.leaving.notify_one(),
        }
        result
    }

    async fn close(&self) {
        let shared = &self.shared;
        shared.presence.remove_all();
        let previous = shared.link.send_replace(Link::Closed);
        if let Link::Up(session) = previous {
            let leaving = async {
                for (topic, id) in shared.presence.left() {
                    if shared.leave(&session, &topic, &id).await.is_err() {
                        // The other processes forget the rest in time.
                        break;
                    }
                }
            };
            let _ = timeout(shared.settings.timeout, leaving).await;
        }
        self.driver.abort();
        shared.close_logs();
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
        self.driver.abort();
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
        match &*self.shared.link.borrow() {
            Link::Up(_) => Health::Ready,
            Link::Down { since, reason } => Health::Unreachable {
                since: *since,
                reason: reason.clone(),
            },
            Link::Closed => Health::Closed,
        }
    }

    fn reconnects(&self) -> u64 {
        self.shared.reconnects.load(Ordering::Relaxed)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close())
    }
}
