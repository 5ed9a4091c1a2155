//! The nodes of a cluster, which change.

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ConnectionInfo};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::connection::{Connector, Session};
use super::driver::{Change, drive};
use super::nodes::{LOOK, Link, Node};
use super::shared::Shared;
use super::slots::{Range, ask};
use crate::{Error, Settings};

/// The time between two questions for the nodes while one is not reached.
const RETRY: Duration = Duration::from_millis(250);

/// How to reach the nodes of a cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The first nodes to ask.
    seeds: Vec<Arc<Connector>>,
    /// How to connect to a node, but for its address.
    info: ConnectionInfo,
}

/// A node that has no driver yet.
type NewNode = (Arc<Node>, mpsc::UnboundedReceiver<Change>);

impl Cluster {
    pub(super) fn new(seeds: Vec<Address>, info: ConnectionInfo, settings: &Settings) -> Self {
        let connector = |seed| Arc::new(Connector::new(seed, settings.clone()));
        Self {
            seeds: seeds.into_iter().map(connector).collect(),
            info,
        }
    }

    /// Connects to all nodes, the first that answers of which names the others.
    pub(super) async fn connect(&self, shared: &Arc<Shared>) -> Result<(), Error> {
        let ranges = self.ask_seeds().await?;
        for (node, changes) in self.update(shared, &ranges) {
            let session = shared.connect(&node).await;
            let session = session.map_err(|error| node.connector.not_started(&error))?;
            node.set_link(Link::Up(session.clone()));
            start(shared, &node, Some(session), changes);
        }
        Ok(())
    }

    async fn ask_seeds(&self) -> Result<Vec<Range>, Error> {
        let mut failure = Error::Closed;
        for seed in &self.seeds {
            let asked = async { ask(&seed.connect(0, |_, _| {}).await?).await };
            match asked.await {
                Ok(view) => return Ok(view.ranges),
                Err(error) => failure = seed.not_started(&error),
            }
        }
        Err(failure)
    }

    /// Asks for the nodes again whenever a slot is elsewhere, and now and then, until the task is aborted.
    pub(super) async fn watch(self, shared: Arc<Shared>) {
        for turn in 0.. {
            let longest = match shared.nodes.health().is_ready() {
                true => shared.heartbeat_interval(),
                false => RETRY,
            };
            let _ = timeout(longest, shared.nodes.moved.notified()).await;
            let mut sessions: Vec<_> = shared
                .nodes
                .all()
                .iter()
                .filter_map(|it| it.session())
                .collect();
            // A node may not have heard of a change yet, so the next one is asked each time.
            if !sessions.is_empty() {
                let first = turn % sessions.len();
                sessions.rotate_left(first);
            }
            let ranges = match ask_first(&sessions, shared.settings.timeout).await {
                Some(ranges) => Some(ranges),
                None => self.ask_seeds().await.ok(),
            };
            for (node, changes) in ranges.map_or_else(Vec::new, |it| self.update(&shared, &it)) {
                start(&shared, &node, None, changes);
            }
            sleep(LOOK).await;
        }
    }

    /// Puts the nodes in place. Returns those that are new.
    fn update(&self, shared: &Arc<Shared>, ranges: &[Range]) -> Vec<NewNode> {
        let known = shared.nodes.all();
        let mut new: Vec<NewNode> = Vec::new();
        let mut table = Vec::new();
        for range in ranges {
            let Ok(client) = Client::open(range.info(&self.info)) else {
                continue;
            };
            let connector = Connector::new(Address::of_server(client), shared.settings.clone());
            let mut nodes = known.iter().chain(new.iter().map(|(node, _)| node));
            let node = nodes
                .find(|node| node.connector.target() == connector.target())
                .cloned();
            let node = node.unwrap_or_else(|| {
                let (node, changes) = Node::new(connector);
                new.push((Arc::clone(&node), changes));
                node
            });
            table.push((range.last, node));
        }
        let before: Vec<_> = shared
            .feeds()
            .into_iter()
            .map(|feed| (shared.nodes.of(&feed.keys.stream), feed))
            .collect();
        for node in shared.nodes.replace(table) {
            node.stop(Link::Removed);
        }
        for (node, feed) in before {
            let is_new = |of: &Arc<Node>| new.iter().any(|(node, _)| Arc::ptr_eq(node, of));
            let now = shared.nodes.of(&feed.keys.stream);
            let is_same = matches!((&node, &now), (Some(a), Some(b)) if Arc::ptr_eq(a, b));
            // A new node subscribes to all that is read.
            if !is_same && !now.is_some_and(|of| is_new(&of)) {
                shared.resubscribe_in_background(&feed.keys.stream);
            }
        }
        new
    }
}

/// Asks one node after the other, up to the first that is not cut off from most others; such a node may know of no
/// change. If all are, the first answer counts.
async fn ask_first(sessions: &[Session], longest: Duration) -> Option<Vec<Range>> {
    let mut first = None;
    for session in sessions {
        match timeout(longest, ask(session)).await {
            Ok(Ok(view)) if view.is_ok => return Some(view.ranges),
            Ok(Ok(view)) => first = first.or(Some(view.ranges)),
            _ => {}
        }
    }
    first
}

/// Starts the task that keeps the connections to a node.
pub(super) fn start(
    shared: &Arc<Shared>,
    node: &Arc<Node>,
    session: Option<Session>,
    changes: mpsc::UnboundedReceiver<Change>,
) {
    let driver = drive(Arc::clone(shared), Arc::clone(node), session, changes);
    node.set_driver(tokio::spawn(driver).abort_handle());
}
