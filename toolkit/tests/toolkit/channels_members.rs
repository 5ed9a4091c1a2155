use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use callgate_channels::backend::{Backend, BoxFuture, EventLog, Opened, Start, Topic};
use callgate_channels::{
    ChannelLayer, Error, GroupEvent, Health, Member, MemberId, Payload, Sequence, Settings,
};
use callgate_toolkit::channels::{GroupMembers, SharedMembers, follow_members};
use tokio::sync::watch;
use tokio::time::Instant;

/// A backend of one group, whose events and lists are those that a test says.
#[derive(Debug)]
struct Scripted {
    settings: Settings,
    log: Arc<EventLog>,
    listed: std::sync::Mutex<Result<Vec<Member>, Error>>,
    lists: AtomicU32,
}

impl Scripted {
    fn new() -> Arc<Self> {
        let settings = Settings::default();
        Arc::new(Self {
            log: EventLog::new(Sequence::ZERO, &settings),
            settings,
            listed: std::sync::Mutex::new(Ok(Vec::new())),
            lists: AtomicU32::new(0),
        })
    }

    fn lists(&self, listed: Result<Vec<Member>, Error>) {
        *self.listed.lock().unwrap() = listed;
    }

    fn join(&self, name: &str) {
        let member = member(name);
        let event = |sequence| GroupEvent::Join { sequence, member };
        drop(self.log.append_next(false, event).unwrap());
    }

    fn leave(&self, name: &str) {
        let member = member(name);
        let event = |sequence| GroupEvent::Leave { sequence, member };
        drop(self.log.append_next(false, event).unwrap());
    }

    fn gap(&self) {
        drop(self.log.append_missed(Sequence::now().next()));
    }
}

fn member(name: &str) -> Member {
    Member {
        id: MemberId::new(name),
        data: name.into(),
    }
}

fn unreachable() -> Error {
    Error::Unreachable {
        target: "the store".into(),
        reason: "of the test".into(),
        retry: None,
    }
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn publish<'a>(&'a self, _: &'a Topic, _: Payload) -> BoxFuture<'a, Result<Sequence, Error>> {
        Box::pin(ready(Err(unreachable())))
    }

    fn open<'a>(&'a self, _: &'a Topic, _: Start) -> BoxFuture<'a, Result<Opened, Error>> {
        let opened = Opened {
            backlog: Vec::new(),
            reader: self.log.reader(),
        };
        Box::pin(ready(Ok(opened)))
    }

    fn release(&self, _: &Topic) {}

    fn join<'a>(&'a self, _: &'a Topic, _: Member) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(Err(unreachable())))
    }

    fn leave<'a>(&'a self, _: &'a Topic, _: &'a MemberId) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(Err(unreachable())))
    }

    fn leave_in_background(&self, _: &Topic, _: &MemberId) {}

    fn members<'a>(&'a self, _: &'a Topic) -> BoxFuture<'a, Result<Vec<Member>, Error>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        Box::pin(ready(self.listed.lock().unwrap().clone()))
    }

    fn member_count<'a>(&'a self, _: &'a Topic) -> BoxFuture<'a, Result<usize, Error>> {
        Box::pin(ready(Err(unreachable())))
    }

    fn health(&self) -> Health {
        Health::Ready
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        drop(self.log.close());
        Box::pin(ready(()))
    }
}

async fn follow(backend: &Arc<Scripted>) -> watch::Receiver<GroupMembers> {
    let layer = ChannelLayer::with_backend(backend.clone());
    follow_members(&layer.group("room")).await.unwrap()
}

/// Waits until these are the members.
async fn are(members: &mut watch::Receiver<GroupMembers>, expected: &[&str]) {
    let names = |members: &GroupMembers| {
        let names = members.iter().map(|member| member.id.as_str().to_owned());
        names.collect::<Vec<_>>()
    };
    let waiting = members.wait_for(|members| names(members) == expected);
    let waited = tokio::time::timeout(Duration::from_secs(600), waiting).await;
    assert!(waited.is_ok(), "{expected:?} never were the members");
}

/// Waits until there are this many members.
async fn has_len(members: &mut watch::Receiver<GroupMembers>, len: usize) {
    let waiting = members.wait_for(|members| members.len() == len);
    let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(waited.is_ok(), "there never were {len} members");
}

#[tokio::test]
async fn members_come_and_go_with_their_events() {
    let layer = ChannelLayer::memory();
    let group = layer.group("room");
    let ada = group.join("Ada").await.unwrap();
    let mut members = follow_members(&group).await.unwrap();
    assert_eq!(members.borrow().len(), 1);
    assert!(members.borrow().contains(ada.id()));
    let eva = group.join("Eva").await.unwrap();
    has_len(&mut members, 2).await;
    drop(ada);
    has_len(&mut members, 1).await;
    assert_eq!(members.borrow().iter().next(), Some(eva.member()));
    eva.leave().await.unwrap();
    has_len(&mut members, 0).await;

    // Nobody listens, so the task ends and its subscription with it.
    drop(members);
    while layer.metrics().subscribers > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_follower_ends_with_its_layer_and_shared_members_follow_the_next_one() {
    let shared = SharedMembers::of("room");
    let (first, second) = (ChannelLayer::memory(), ChannelLayer::memory());
    let mut members = shared.follow(&first).await.unwrap();
    shared.follow(&first).await.unwrap();
    assert_eq!(first.metrics().subscribers, 1, "one task for all who ask");
    first.close().await;
    assert!(members.changed().await.is_err());
    let _ada = second.group("room").join("Ada").await.unwrap();
    assert_eq!(shared.follow(&second).await.unwrap().borrow().len(), 1);
}

#[tokio::test]
async fn the_first_list_that_fails_is_an_error() {
    let backend = Scripted::new();
    backend.lists(Err(unreachable()));
    let layer = ChannelLayer::with_backend(backend.clone());
    let result = follow_members(&layer.group("room")).await;
    assert_eq!(result.unwrap_err(), unreachable());
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_the_members_are_listed_until_that_succeeds_with_growing_pauses() {
    let backend = Scripted::new();
    let mut members = follow(&backend).await;
    backend.join("a");
    are(&mut members, &["a"]).await;
    assert_eq!(backend.lists.load(Ordering::Relaxed), 1);

    backend.lists(Err(unreachable()));
    let began = Instant::now();
    backend.gap();
    // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 5 s of pauses, each after a list that has failed.
    while backend.lists.load(Ordering::Relaxed) < 1 + 8 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Duration::from_secs(60), "it has given up");
    }
    let passed = began.elapsed();
    assert!(
        (Duration::from_secs(11)..Duration::from_secs(12)).contains(&passed),
        "{passed:?}"
    );
    // The list stays, and says that it may be old. Events are applied meanwhile.
    assert_eq!(members.borrow().error(), Some(&unreachable()));
    backend.join("b");
    are(&mut members, &["a", "b"]).await;

    backend.lists(Ok(vec![member("a"), member("b"), member("c")]));
    are(&mut members, &["a", "b", "c"]).await;
    assert_eq!(members.borrow().error(), None);
    let lists = backend.lists.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(backend.lists.load(Ordering::Relaxed), lists);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_joins_again_after_a_loss_of_data_is_no_change() {
    let backend = Scripted::new();
    backend.lists(Ok(vec![member("a"), member("b"), member("c")]));
    let mut members = follow(&backend).await;
    members.borrow_and_update();

    // The store has lost its data, and the process of `a` has connected again first.
    backend.lists(Ok(vec![member("a")]));
    backend.gap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    backend.join("a");
    backend.join("b");
    backend.lists(Ok(vec![member("a"), member("b")]));
    tokio::time::sleep(Duration::from_secs(18)).await;
    assert!(!members.has_changed().unwrap());
    // `c` was in a process that is dead.
    are(&mut members, &["a", "b"]).await;
    assert_eq!(backend.lists.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_while_it_is_missing_in_the_list_is_gone_at_once() {
    let backend = Scripted::new();
    backend.lists(Ok(vec![member("a"), member("b")]));
    let mut members = follow(&backend).await;
    backend.lists(Ok(vec![member("a")]));
    backend.gap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    backend.leave("b");
    let began = Instant::now();
    are(&mut members, &["a"]).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}
