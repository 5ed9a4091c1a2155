//! The members of a group in all processes.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use callgate_channels::{ChannelLayer, Error, Group, GroupEvent, Member, MemberId, Subscription};
use futures_util::future::{Either, select};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until, timeout};

/// The time after which a list that has failed is asked for again. It doubles up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// The members of a group in all processes, in the order of their IDs, as [`follow_members`] keeps them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupMembers {
    by_id: BTreeMap<MemberId, Member>,
    error: Option<Error>,
}

impl GroupMembers {
    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether nobody is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Returns whether this member is there.
    #[must_use]
    pub fn contains(&self, id: &MemberId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Returns the members in the order of their IDs.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// Returns why the list may be old: events were missed, and the list could not be read again so far.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Applies a join or a leave. Returns whether the list has changed.
    fn apply(&mut self, event: &GroupEvent) -> bool {
        match event {
            GroupEvent::Join { member, .. } => {
                let before = self.by_id.insert(member.id.clone(), member.clone());
                before.as_ref() != Some(member)
            }
            GroupEvent::Leave { member, .. } => self.by_id.remove(&member.id).is_some(),
            _ => false,
        }
    }
}

/// Follows the members of a group in all processes, on a task that ends when all receivers are dropped or the
/// layer is closed. The first list is there at once.
///
/// The task applies joins and leaves to the list, as a map by ID: a member that joins again is no change. After
/// a gap the task lists the members again, and again after an error, with growing pauses of at most 5 seconds.
/// A store that was restarted without data lacks the members of processes that have not connected again yet, so a
/// member that is missing in a list after a gap is kept for four thirds of the
/// [presence time-out](callgate_channels::Settings::presence_timeout), and dropped when it is missing then.
///
/// ```
/// use callgate_channels::{ChannelLayer, Error};
/// use callgate_toolkit::channels::follow_members;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let room = ChannelLayer::memory().group("room:7");
/// let mut members = follow_members(&room).await?;
/// let ada = room.join("Ada").await?;
/// let is_there = members.wait_for(|members| members.contains(ada.id())).await;
/// assert_eq!(is_there.expect("the layer is open").len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Group::members`], for the first list.
pub async fn follow_members(group: &Group) -> Result<watch::Receiver<GroupMembers>, Error> {
    let subscription = group.subscribe().await?;
    let listed = group.members().await?;
    let (sender, receiver) = watch::channel(GroupMembers {
        by_id: listed.into_iter().map(by_id).collect(),
        error: None,
    });
    let follower = Follower {
        group: group.clone(),
        list: sender,
        absent: BTreeSet::new(),
        next_list: None,
    };
    tokio::spawn(follower.run(subscription));
    Ok(receiver)
}

/// The members of one group, which are followed by one task for all sessions of a process.
///
/// An application has this as a field. The group is followed from the first call of [`follow`](Self::follow) on,
/// until this is dropped or the layer is closed. After that, another call begins anew.
///
/// ```
/// use callgate_channels::{ChannelLayer, Error};
/// use callgate_toolkit::channels::SharedMembers;
///
/// struct Counter {
///     visitors: SharedMembers,
/// }
///
/// impl Counter {
///     fn new() -> Self {
///         Self { visitors: SharedMembers::of("visitors") }
///     }
///
///     async fn count(&self, layer: &ChannelLayer) -> Result<usize, Error> {
///         Ok(self.visitors.follow(layer).await?.borrow().len())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SharedMembers {
    name: String,
    followed: Mutex<Option<watch::Receiver<GroupMembers>>>,
}

impl SharedMembers {
    /// Creates this for the group of a name.
    #[must_use]
    pub fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            followed: Mutex::default(),
        }
    }

    /// Returns the name of the group.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the members, as [`follow_members`] does.
    ///
    /// # Errors
    ///
    /// As [`follow_members`].
    pub async fn follow(
        &self,
        layer: &ChannelLayer,
    ) -> Result<watch::Receiver<GroupMembers>, Error> {
        // While the layer cannot be reached, those who wait for each other fail together.
        let limit = layer.settings().timeout * 2;
        let Ok(mut followed) = timeout(limit, self.followed.lock()).await else {
            return Err(Error::Unreachable {
                target: format!("the members of {}", self.name),
                reason: format!("there was no list after {limit:?}"),
                retry: None,
            });
        };
        if let Some(members) = &*followed
            && members.has_changed().is_ok()
        {
            return Ok(members.clone());
        }
        let members = follow_members(&layer.group(&self.name)).await?;
        Ok(followed.insert(members).clone())
    }
}

fn by_id(member: Member) -> (MemberId, Member) {
    (member.id.clone(), member)
}

/// The task that follows the members of a group.
struct Follower {
    group: Group,
    list: watch::Sender<GroupMembers>,
    /// The members that are kept although a list after a gap lacked them.
    absent: BTreeSet<MemberId>,
    next_list: Option<NextList>,
}

/// A list that is to be read.
#[derive(Clone, Copy)]
struct NextList {
    at: Instant,
    /// The pause after an error.
    retry: Duration,
    /// Whether absent members are dropped by this list.
    is_final: bool,
}

impl NextList {
    fn at(at: Instant, is_final: bool) -> Self {
        Self {
            at,
            retry: FIRST_RETRY,
            is_final,
        }
    }
}

/// Why a follower goes on.
enum Wake {
    Event(GroupEvent),
    List(NextList),
    /// The layer is closed, or nobody listens.
    End,
}

impl Follower {
    async fn run(mut self, mut subscription: Subscription) {
        loop {
            match self.wait(&mut subscription).await {
                Wake::Event(event) => self.apply(&event),
                Wake::List(next) => {
                    // No event is applied meanwhile: the list is not older than the events before it.
                    let listed = self.group.members().await;
                    self.next_list = self.apply_list(next, listed);
                }
                Wake::End => return,
            }
        }
    }

    async fn wait(&self, subscription: &mut Subscription) -> Wake {
        let due = pin!(async {
            match self.next_list {
                Some(next) => {
                    sleep_until(next.at).await;
                    next
                }
                None => pending().await,
            }
        });
        let closed = pin!(self.list.closed());
        match select(pin!(subscription.next()), select(due, closed)).await {
            Either::Left((Some(event), _)) => Wake::Event(event),
            Either::Left((None, _)) => Wake::End,
            Either::Right((Either::Left((next, _)), _)) => Wake::List(next),
            Either::Right((Either::Right(_), _)) => Wake::End,
        }
    }

    fn apply(&mut self, event: &GroupEvent) {
        match event {
            GroupEvent::Missed(_) => self.next_list = Some(NextList::at(Instant::now(), false)),
            GroupEvent::Join { member, .. } | GroupEvent::Leave { member, .. } => {
                self.absent.remove(&member.id);
                self.list.send_if_modified(|list| list.apply(event));
            }
            _ => {}
        }
    }

    /// Applies what was listed, and returns the list that is to be read next.
    fn apply_list(
        &mut self,
        next: NextList,
        listed: Result<Vec<Member>, Error>,
    ) -> Option<NextList> {
        let listed: BTreeMap<_, _> = match listed {
            Ok(listed) => listed.into_iter().map(by_id).collect(),
            Err(error) => {
                self.list.send_if_modified(|list| {
                    let is_new = list.error.as_ref() != Some(&error);
                    list.error = Some(error);
                    is_new
                });
                return Some(NextList {
                    at: Instant::now() + next.retry,
                    retry: (next.retry * 2).min(LONGEST_RETRY),
                    ..next
                });
            }
        };
        let absent = std::mem::take(&mut self.absent);
        self.list.send_if_modified(|list| {
            let mut is_changed = list.error.take().is_some();
            for (id, member) in &listed {
                is_changed |=
                    list.by_id.insert(id.clone(), member.clone()).as_ref() != Some(member);
            }
            if next.is_final {
                for id in absent.iter().filter(|id| !listed.contains_key(*id)) {
                    is_changed |= list.by_id.remove(id).is_some();
                }
            } else {
                let known = list.by_id.keys();
                self.absent = known
                    .filter(|id| !listed.contains_key(*id))
                    .cloned()
                    .collect();
            }
            is_changed
        });
        let grace = self.group.layer().settings().presence_timeout * 4 / 3;
        (!self.absent.is_empty()).then(|| NextList::at(Instant::now() + grace, true))
    }
}
