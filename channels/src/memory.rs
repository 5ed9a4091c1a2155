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
    /// When old logs were removed last.
    swept: AtomicU64,
    is_closed: AtomicBool,
}

/// A function that makes an event of its number.
type Create<'a> = &'a dyn Fn(Sequence) -> GroupEvent;

impl MemoryBackend {
    /// Creates a backend without groups.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
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
        self.sweep_sometimes();
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
        self.with_log(topic, |log| log.append_next(waits, create))
    }

    /// Appends an event without waiting for slow readers.
    fn append_now(&self, topic: &Topic, create: Create<'_>) -> (Sequence, Wakeups) {
        self.append(topic, false, create)
            .expect("only appends that wait can find a log full")
    }

    async fn publish_waiting(&self, topic: &Topic, payload: Payload) -> Result<Sequence, Error> {
        let create = |sequence| {
            GroupEvent::Message(Message {
                sequence,
                payload: payload.clone(),
            })
        };
        loop {
            self.check_open()?;
            self.check_inbox(topic)?;
            if let Ok((sequence, _wakeups)) = self.append(topic, true, &create) {
                return Ok(sequence);
            }
            let log = self.with_log(topic, Arc::clone);
            let mut room = std::pin::pin!(log.has_room());
            room.as_mut().enable();
            // A reader may have made room before this was able to wait.
            if let Ok((sequence, _wakeups)) = self.append(topic, true, &create) {
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

    fn sweep_sometimes(&self) {
        let now = Sequence::now().get();
        let swept = self.swept.load(Ordering::Relaxed);
        let interval = u64::try_from(self.settings.history_time.as_micros() / 4);
        if now.saturating_sub(swept) > interval.unwrap_or(u64::MAX)
            && self
                .swept
                .compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed)
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
        Box::pin(self.publish_waiting(topic, payload))
    }

    fn open<'a>(&'a self, topic: &'a Topic, start: Start) -> BoxFuture<'a, Result<Opened, Error>> {
        let open = || {
            self.check_open()?;
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
