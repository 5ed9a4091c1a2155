//! The servers of the store: the only one, or those of a cluster.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::connection::{Connector, Session};
use super::driver::Change;
use super::slots::slot_of;
use crate::sync::lock;
use crate::{Error, Health};

/// The time between two attempts while a slot is on its way from a node to another.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The state of the connections to a node.
#[derive(Clone, Debug)]
pub(super) enum Link {
    Up(Session),
    Down {
        since: SystemTime,
        reason: String,
    },
    /// The node is no longer part of the cluster, or has no slots.
    Removed,
    Closed,
}

/// A server, and the task that keeps its connections.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) connector: Arc<Connector>,
    pub(super) link: watch::Sender<Link>,
    pub(super) changes: mpsc::UnboundedSender<Change>,
    driver: Mutex<Option<AbortHandle>>,
}

impl Node {
    pub(super) fn new(connector: Connector) -> (Arc<Self>, mpsc::UnboundedReceiver<Change>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        let (since, reason) = (SystemTime::now(), "not connected yet".to_owned());
        let node = Self {
            connector: Arc::new(connector),
            link: watch::Sender::new(Link::Down { since, reason }),
            changes,
            driver: Mutex::default(),
        };
        (Arc::new(node), receiver)
    }

    pub(super) fn set_driver(&self, driver: AbortHandle) {
        *lock(&self.driver) = Some(driver);
    }

    /// Ends the task that keeps the connections. Returns the state before.
    pub(super) fn stop(&self, link: Link) -> Link {
        if let Some(driver) = lock(&self.driver).take() {
            driver.abort();
        }
        self.link.send_replace(link)
    }

    /// Sets the state of the connections, unless the node is stopped. Returns whether it is not.
    pub(super) fn set_link(&self, link: Link) -> bool {
        self.link.send_if_modified(|current| {
            let is_open = matches!(current, Link::Up(_) | Link::Down { .. });
            if is_open {
                *current = link;
            }
            is_open
        })
    }

    /// Returns the session if there is one.
    pub(super) fn session(&self) -> Option<Session> {
        match &*self.link.borrow() {
            Link::Up(session) => Some(session.clone()),
            _ => None,
        }
    }
}

/// All servers.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    table: RwLock<Table>,
    /// Is notified when a node says that a slot is elsewhere.
    pub(super) moved: Notify,
}

/// The nodes, each after the last slot of a range that it has, in the order of the slots. The only server has all.
type Table = Vec<(u16, Arc<Node>)>;

impl Nodes {
    /// Replaces the table. Returns the nodes that are in it no longer.
    pub(super) fn replace(&self, table: Table) -> Vec<Arc<Node>> {
        let before = self.all();
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        let after = self.all();
        let is_gone = |node: &Arc<Node>| !after.iter().any(|other| Arc::ptr_eq(node, other));
        before.into_iter().filter(is_gone).collect()
    }

    /// Returns each node once.
    pub(super) fn all(&self) -> Vec<Arc<Node>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for (_, node) in &*table {
            if !nodes.iter().any(|known| Arc::ptr_eq(known, node)) {
                nodes.push(Arc::clone(node));
            }
        }
        nodes
    }

    /// Returns the node that has a key.
    pub(super) fn of(&self, key: &str) -> Option<Arc<Node>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let slot = match table.len() {
            // The only server has all slots.
            ..=1 => 0,
            _ => slot_of(key),
        };
        let index = table.partition_point(|(last, _)| *last < slot);
        table.get(index).map(|(_, node)| Arc::clone(node))
    }

    /// Returns whether a node has a key.
    pub(super) fn has(&self, node: &Arc<Node>, key: &str) -> bool {
        self.of(key).is_some_and(|of| Arc::ptr_eq(&of, node))
    }

    /// Returns the session of the node that has a key, and waits for it as long as an operation may take.
    pub(super) async fn session(&self, key: &str, longest: Duration) -> Result<Session, Error> {
        let connected = timeout(longest, async {
            loop {
                let Some(node) = self.of(key) else {
                    sleep(LOOK).await;
                    continue;
                };
                let mut link = node.link.subscribe();
                let is_decided = |link: &Link| !matches!(link, Link::Down { .. });
                match link.wait_for(is_decided).await.as_deref() {
                    Ok(Link::Up(session)) => return Ok(session.clone()),
                    // Another node has the slot, or will have it.
                    Ok(Link::Removed) => {}
                    _ => return Err(Error::Closed),
                }
                sleep(LOOK).await;
            }
        });
        if let Ok(connected) = connected.await {
            return connected;
        }
        let node = self.of(key).or_else(|| self.all().into_iter().next());
        let node = node.ok_or(Error::Closed)?;
        let reason = match &*node.link.borrow() {
            Link::Down { reason, .. } => reason.clone(),
            Link::Up(session) => return Ok(session.clone()),
            _ => "it has left the cluster".to_owned(),
        };
        Err(node.connector.unreachable(reason))
    }

    /// Returns whether all nodes are reached, and which are not.
    pub(super) fn health(&self) -> Health {
        let mut outage: Option<(SystemTime, String)> = None;
        for node in self.all() {
            match &*node.link.borrow() {
                Link::Up(_) | Link::Removed => {}
                Link::Closed => return Health::Closed,
                Link::Down { since, reason } => {
                    let reason = format!("{}: {reason}", node.connector.target());
                    outage = Some(match outage {
                        None => (*since, reason),
                        Some((first, reasons)) => {
                            (first.min(*since), format!("{reasons}; {reason}"))
                        }
                    });
                }
            }
        }
        match outage {
            Some((since, reason)) => Health::Unreachable { since, reason },
            None => Health::Ready,
        }
    }
}
