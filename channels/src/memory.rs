//! The backend in the memory of one process.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::backend::{Backend, BoxFuture, EventLog, Full, Opened, Start, Topic, Wakeups};
use crate::sync::lock;
use crate::{Error, GroupEvent, Health, Member, MemberId, Message, Payload, Sequence, Settings};

/// A backend in the memory of this process, for one process or for tests.
///
/// A group costs nothing when nobody is subscribed, nobody has joined, and its history is older than
/// [`Settings::history_time`].
#[derive(Debug)]
pub struct MemoryBackend {
    settings: Settings,
    /// An event is appended under the lock for reading, so that no log is forgotten meanwhile.
    logs: RwLock<HashMap<Topic, Arc<EventLog>>>,
    /// Members by group. This lock is taken before that of the logs, so that joins and leaves have the
    /// order of their events.
    members: Mutex<HashMap<Topic, BTreeMap<MemberId, Member>>>,
    /// When old logs were removed last, and the microseconds after which they are removed again.
    swept: AtomicU64,
    sweep_interval: u64,
    is_closed: AtomicBool,
}

/// A function that makes an event of its number.
type Create<'a> = &'a dyn Fn(Sequence) -> GroupEvent;

impl MemoryBackend {
    /// Creates a backend without groups.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let sweep_interval = u64::try_from(settings.history_time.as_micros() / 4);
        Self {
            settings,
            sweep_interval: sweep_interval.unwrap_or(u64::MAX),
            logs: RwLock::default(),
            members: Mutex::default(),
            swept: AtomicU64::new(Sequence::now().get()),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Returns the number of topics that use memory.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.sweep();
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closed.load(Ordering::Acquire) {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// Calls `with` with the log of a topic, which cannot be forgotten meanwhile.
    fn with_log<T>(&self, topic: &Topic, with: impl FnOnce(&Arc<EventLog>) -> T) -> T {
        if let Some(log) = self
            .logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(topic)
        {
            return with(log);
        }
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        let log = logs
            .entry(topic.clone())
            .or_insert_with(|| EventLog::new(Sequence::now(), &self.settings));
        with(log)
    }

    fn append(
        &self,
        topic: &Topic,
        waits: bool,
        create: Create<'_>,
    ) -> Result<(Sequence, Wakeups), Full> {
        let appended = self.with_log(topic, |log| log.append_next(waits, create));
        if let Ok((sequence, _)) = &appended {
            self.sweep_sometimes(*sequence);
        }
        appended
    }

    /// Appends an event without waiting for slow readers.
    fn append_now(&self, topic: &Topic, create: Create<'_>) -> (Sequence, Wakeups) {
        self.append(topic, false, create)
            .expect("only appends that wait can find a log full")
    }

    /// Publishes a message, unless it has to wait for a slow reader.
    fn publish_now(&self, topic: &Topic, payload: &Payload) -> Result<Option<Sequence>, Error> {
        self.check_open()?;
        self.check_inbox(topic)?;
        let create = |sequence| {
            GroupEvent::Message(Message {
                sequence,
                payload: payload.clone(),
            })
        };
        let published = self.append(topic, true, &create);
        Ok(published.ok().map(|(sequence, _wakeups)| sequence))
    }

    async fn publish_waiting(&self, topic: &Topic, payload: Payload) -> Result<Sequence, Error> {
        loop {
            let log = self.with_log(topic, Arc::clone);
            let mut room = std::pin::pin!(log.has_room());
            room.as_mut().enable();
            // A reader may have made room before this was able to wait.
            if let Some(sequence) = self.publish_now(topic, &payload)? {
                return Ok(sequence);
            }
            room.await;
        }
    }

    fn check_inbox(&self, topic: &Topic) -> Result<(), Error> {
        let Some(id) = topic.member() else {
            return Ok(());
        };
        let group = Topic::group(topic.group_name());
        let members = lock(&self.members);
        if members.get(&group).is_some_and(|of| of.contains_key(id)) {
            Ok(())
        } else {
            Err(Error::NoSuchMember(id.clone()))
        }
    }

    fn remove_member(&self, group: &Topic, id: &MemberId) {
        let mut members = lock(&self.members);
        let Some(of_group) = members.get_mut(group) else {
            return;
        };
        let Some(member) = of_group.remove(id) else {
            return;
        };
        if of_group.is_empty() {
            members.remove(group);
        }
        let (_, wakeups) = self.append_now(group, &|sequence| GroupEvent::Leave {
            sequence,
            member: member.clone(),
        });
        drop(members);
        drop(wakeups);
    }

    /// Removes old logs if this was not done for a while. `now` is the number of an event of now, which saves a
    /// look at the clock.
    fn sweep_sometimes(&self, now: Sequence) {
        let swept = self.swept.load(Ordering::Relaxed);
        if now.get().saturating_sub(swept) > self.sweep_interval
            && self
                .swept
                .compare_exchange(swept, now.get(), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.sweep();
        }
    }

    /// Forgets the topics without readers whose history is old.
    fn sweep(&self) {
        let now = Sequence::now().time();
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        logs.retain(|_, log| {
            let age = now.duration_since(log.head().time());
            log.readers() > 0 || age.is_ok_and(|age| age < self.settings.history_time)
        });
    }
}

impl Backend for MemoryBackend {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn publish<'a>(
        &'a self,
        topic: &'a Topic,
        payload: Payload,
    ) -> BoxFuture<'a, Result<Sequence, Error>> {
        match self.publish_now(topic, &payload).transpose() {
            Some(published) => Box::pin(ready(published)),
            None => Box::pin(self.publish_waiting(topic, payload)),
        }
    }

    fn open<'a>(&'a self, topic: &'a Topic, start: Start) -> BoxFuture<'a, Result<Opened, Error>> {
        let open = || {
            self.check_open()?;
            self.sweep_sometimes(Sequence::now());
            let reader = self.with_log(topic, |log| match start {
                Start::Now => Ok(log.reader()),
                Start::After(asked) => log
                    .reader_after(asked)
                    .map_err(|head| Error::SequenceAhead { asked, head }),
            })?;
            Ok(Opened {
                backlog: Vec::new(),
                reader,
            })
        };
        Box::pin(ready(open()))
    }

    fn release(&self, topic: &Topic) {
        // An inbox has one reader, and nobody can subscribe to it again.
        if topic.member().is_some() {
            let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
            logs.remove(topic);
        }
    }

    fn can_wait(&self) -> bool {
        true
    }

    fn join<'a>(&'a self, group: &'a Topic, member: Member) -> BoxFuture<'a, Result<(), Error>> {
        let join = || {
            self.check_open()?;
            let mut members = lock(&self.members);
            members
                .entry(group.clone())
                .or_default()
                .insert(member.id.clone(), member.clone());
            let (_, wakeups) = self.append_now(group, &|sequence| GroupEvent::Join {
                sequence,
                member: member.clone(),
            });
            drop(members);
            drop(wakeups);
            Ok(())
        };
        Box::pin(ready(join()))
    }

    fn leave<'a>(
        &'a self,
        group: &'a Topic,
        member: &'a MemberId,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.remove_member(group, member);
        Box::pin(ready(Ok(())))
    }

    fn leave_in_background(&self, group: &Topic, member: &MemberId) {
        self.remove_member(group, member);
    }

    fn members<'a>(&'a self, group: &'a Topic) -> BoxFuture<'a, Result<Vec<Member>, Error>> {
        let members = lock(&self.members);
        let listed = members
            .get(group)
            .map(|members| members.values().cloned().collect());
        drop(members);
        Box::pin(ready(
            self.check_open().map(|()| listed.unwrap_or_default()),
        ))
    }

    fn member_count<'a>(&'a self, group: &'a Topic) -> BoxFuture<'a, Result<usize, Error>> {
        let count = lock(&self.members).get(group).map_or(0, BTreeMap::len);
        Box::pin(ready(self.check_open().map(|()| count)))
    }

    fn health(&self) -> Health {
        match self.check_open() {
            Ok(()) => Health::Ready,
            Err(_) => Health::Closed,
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.is_closed.store(true, Ordering::Release);
        lock(&self.members).clear();
        let mut logs = self.logs.write().unwrap_or_else(PoisonError::into_inner);
        let closed: Vec<Wakeups> = logs.drain().map(|(_, log)| log.close()).collect();
        drop(logs);
        drop(closed);
        Box::pin(ready(()))
    }
}
