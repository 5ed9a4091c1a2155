//! Publishers and subscribers of several processes, whose deliveries are checked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callgate_channels::suite::checker::{Observed, Published, Summary};
use callgate_channels::{
    ChannelLayer, Error, Group, GroupEvent, Payload, Sequence, Settings, Subscription,
};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const PROCESSES: usize = 3;
const GROUPS: usize = 4;
/// Subscribers of each group in each process.
const SUBSCRIBERS: usize = 3;

/// How long a step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A load of three processes on one Redis.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) layers: Vec<ChannelLayer>,
    groups: Vec<Arc<GroupLoad>>,
    publishers: Vec<JoinHandle<()>>,
    subscribers: Vec<(Arc<GroupLoad>, JoinHandle<Observed>)>,
    is_ending: Arc<AtomicBool>,
}

/// What was published to a group.
#[derive(Debug)]
struct GroupLoad {
    name: String,
    published: Mutex<Published>,
    confirmed: AtomicUsize,
    failed: AtomicUsize,
}

/// The sum over all subscriptions, and the failed publications.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) yielded: usize,
    pub(crate) gaps: usize,
    pub(crate) published: usize,
    pub(crate) failed: usize,
}

/// Settings with short times and a short history.
pub(crate) fn settings() -> Settings {
    Settings::default()
        .timeout(Duration::from_millis(400))
        .presence_timeout(Duration::from_secs(1))
        .history_messages(32)
}

impl Load {
    /// Starts the load.
    pub(crate) async fn start(url: &str) -> Self {
        let mut layers = Vec::new();
        for _ in 0..PROCESSES {
            let layer = ChannelLayer::connect_with(url, settings()).await;
            layers.push(layer.expect("connected"));
        }
        let is_ending = Arc::new(AtomicBool::new(false));
        let mut load = Self {
            layers,
            groups: Vec::new(),
            publishers: Vec::new(),
            subscribers: Vec::new(),
            is_ending,
        };
        for index in 0..GROUPS {
            load.add_group(format!("group-{index}")).await;
        }
        load
    }

    async fn add_group(&mut self, name: String) {
        let group_load = Arc::new(GroupLoad {
            name,
            published: Mutex::default(),
            confirmed: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        });
        for (process, layer) in self.layers.iter().enumerate() {
            let group = layer.group(&group_load.name);
            for _ in 0..SUBSCRIBERS {
                let subscription = group.subscribe().await.expect("subscribed");
                let reading = tokio::spawn(read(subscription));
                self.subscribers.push((Arc::clone(&group_load), reading));
            }
            let publish = publish(
                group,
                process,
                Arc::clone(&group_load),
                Arc::clone(&self.is_ending),
            );
            self.publishers.push(tokio::spawn(publish));
        }
        self.groups.push(group_load);
    }

    /// Waits until as many more messages were published to each group.
    pub(crate) async fn published(&self, more: usize) {
        let confirmed = |group: &Arc<GroupLoad>| group.confirmed.load(Ordering::Relaxed);
        let goals: Vec<_> = self.groups.iter().map(|g| confirmed(g) + more).collect();
        for (group, goal) in self.groups.iter().zip(goals) {
            wait("messages are published", || confirmed(group) >= goal).await;
        }
    }

    /// Waits until a publication to each group has failed.
    pub(crate) async fn failed(&self) {
        for group in &self.groups {
            let has_failed = || group.failed.load(Ordering::Relaxed) > 0;
            wait("a publication fails", has_failed).await;
        }
    }

    /// Waits until each process knows of an outage.
    pub(crate) async fn unreachable(&self) {
        for layer in &self.layers {
            wait("the outage is known", || !layer.health().is_ready()).await;
        }
    }

    /// Waits until each process has connected again as often.
    pub(crate) async fn reconnected(&self, times: u64) {
        for layer in &self.layers {
            let has_reconnected = || layer.metrics().reconnects >= times;
            wait("a process connects again", has_reconnected).await;
        }
    }

    /// Goes on after an outage that may have lost events, and ends the load. Each subscription is told of the loss.
    pub(crate) async fn end_after_loss(self) {
        self.reconnected(1).await;
        self.published(20).await;
        let outcome = self.end().await;
        assert!(
            outcome.gaps >= PROCESSES * GROUPS * SUBSCRIBERS,
            "{outcome:?}"
        );
        assert!(outcome.yielded > outcome.published, "{outcome:?}");
    }

    /// Ends the load, and checks what each subscription has yielded.
    pub(crate) async fn end(self) -> Outcome {
        self.is_ending.store(true, Ordering::Relaxed);
        for publisher in self.publishers {
            let ended = timeout(PATIENCE, publisher).await;
            ended.expect("a publisher ends").expect("no panic");
        }
        for group in &self.groups {
            let end = self.layers[0].group(&group.name);
            let number = end.publish("end").await.expect("published");
            let mut published = group.published.lock().expect("the lock");
            published.confirm(number, "end".into());
        }
        let mut outcome = Outcome::default();
        for group in &self.groups {
            outcome.published += group.published.lock().expect("the lock").len();
            outcome.failed += group.failed.load(Ordering::Relaxed);
        }
        for (group, subscriber) in self.subscribers {
            let read = timeout(PATIENCE, subscriber).await;
            let observed = read.expect("a subscriber reads the end").expect("no panic");
            let published = group.published.lock().expect("the lock");
            let summary = check(&published, observed);
            outcome.yielded += summary.yielded;
            outcome.gaps += summary.gaps;
        }
        outcome
    }
}

/// Checks a subscription, and that the check would have found a message that is lost without a gap.
fn check(published: &Published, observed: Observed) -> Summary {
    let summary = published.check(&observed);
    let summary = summary.unwrap_or_else(|violation| panic!("{violation}: {observed:?}"));
    let mut mutant = observed;
    let is_message = |event: &GroupEvent| matches!(event, GroupEvent::Message(_));
    let index = mutant.events.iter().rposition(is_message);
    mutant.events.remove(index.expect("a message was yielded"));
    published
        .check(&mutant)
        .expect_err("the checker finds the loss");
    summary
}

/// Waits for a condition that nothing announces.
pub(crate) async fn wait(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
}

impl GroupLoad {
    /// Notes how a publication has ended.
    fn note(&self, result: Result<Sequence, Error>, payload: Payload) {
        let mut published = self.published.lock().expect("the lock");
        match result {
            Ok(number) => {
                published.confirm(number, payload);
                self.confirmed.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                let may_be_published = matches!(error, Error::Unconfirmed { .. });
                let is_known = matches!(error, Error::Unreachable { .. });
                assert!(may_be_published || is_known, "{error:?}");
                if may_be_published {
                    published.leave_open(payload);
                }
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Publishes different messages, one at a time, and notes how each publication ended.
async fn publish(group: Group, process: usize, load: Arc<GroupLoad>, is_ending: Arc<AtomicBool>) {
    let mut count = 0;
    while !is_ending.load(Ordering::Relaxed) {
        count += 1;
        let payload = Payload::from(format!("{process}-{count}"));
        // The message may arrive before it is confirmed.
        let result = group.publish(payload.clone()).await;
        load.note(result, payload);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reads a subscription up to the message `end`.
async fn read(mut subscription: Subscription) -> Observed {
    let start: Sequence = subscription.sequence();
    let mut events = Vec::new();
    while let Some(event) = subscription.next().await {
        let is_end = matches!(&event, GroupEvent::Message(message) if message.payload == Payload::from("end"));
        events.push(event);
        if is_end {
            break;
        }
    }
    Observed { start, events }
}
