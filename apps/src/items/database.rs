//! What stands in for a database, where `items` is about how one is used and not about SQL.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, watch};

/// How many items are kept: the newest.
const MAX_ITEMS: usize = 1000;

/// How long one waits for a connection to become free.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database in memory, with connections as a real one has: they are opened and closed, there are
/// only so many, and one that nobody closes stays open.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tables: Mutex<Tables>,
    free: Semaphore,
    open: watch::Sender<usize>,
    is_down: AtomicBool,
}

#[derive(Debug)]
struct Tables {
    items: VecDeque<Item>,
    users: Vec<User>,
}

/// One of the items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its number.
    pub item_id: i64,
}

/// One of the users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their number.
    pub user_id: i64,
    /// Their name.
    pub name: &'static str,
}

impl Database {
    /// One that takes so many connections at once, with a few items and users.
    #[must_use]
    pub fn new(max_connections: usize) -> Self {
        let items = (1..=3).map(|item_id| Item { item_id }).collect();
        let users = [(1, "Ada"), (2, "Grace")];
        let users = users.map(|(user_id, name)| User { user_id, name }).into();
        Self(Arc::new(Inner {
            tables: Mutex::new(Tables { items, users }),
            free: Semaphore::new(max_connections),
            open: watch::Sender::new(0),
            is_down: AtomicBool::new(false),
        }))
    }

    /// Opens a connection, once there is a free one. It has to be [closed](Connection::close).
    ///
    /// # Errors
    ///
    /// [`DatabaseError::TooManyConnections`] after 5 seconds without a free one;
    /// [`DatabaseError::Down`].
    pub async fn connect(&self) -> Result<Connection, DatabaseError> {
        let free = tokio::time::timeout(PATIENCE, self.0.free.acquire()).await;
        let free = free.map_err(|_| DatabaseError::TooManyConnections)?;
        let free = free.expect("never closed");
        self.answer()?;
        free.forget();
        self.0.open.send_modify(|open| *open += 1);
        Ok(Connection {
            database: self.clone(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// How many connections are open, now and from now on.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.0.open.subscribe()
    }

    /// Whether it is to be down: nothing is answered then, until it is up again.
    pub fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::Relaxed);
    }

    fn answer(&self) -> Result<(), DatabaseError> {
        match self.0.is_down.load(Ordering::Relaxed) {
            true => Err(DatabaseError::Down),
            false => Ok(()),
        }
    }
}

/// A connection to a [`Database`].
#[derive(Debug)]
pub struct Connection {
    database: Database,
    is_closed: AtomicBool,
}

impl Connection {
    /// All items, in the order in which they came.
    ///
    /// # Errors
    ///
    /// [`DatabaseError::Down`], [`DatabaseError::Closed`]: so do the other queries.
    pub async fn items(&self) -> Result<Vec<Item>, DatabaseError> {
        self.query(|tables| tables.items.iter().cloned().collect())
    }

    /// Adds an item, in the place of the oldest when there are 1000.
    ///
    /// # Errors
    ///
    /// See [`items`](Self::items).
    pub async fn insert(&self, item: Item) -> Result<(), DatabaseError> {
        self.query(|tables| {
            if tables.items.len() == MAX_ITEMS {
                tables.items.pop_front();
            }
            tables.items.push_back(item);
        })
    }

    /// The user of this number.
    ///
    /// # Errors
    ///
    /// See [`items`](Self::items).
    pub async fn user(&self, user_id: i64) -> Result<Option<User>, DatabaseError> {
        self.query(|tables| {
            let mut users = tables.users.iter();
            users.find(|user| user.user_id == user_id).cloned()
        })
    }

    /// Closes it. Once is enough.
    pub async fn close(&self) {
        if !self.is_closed.swap(true, Ordering::Relaxed) {
            self.database.0.free.add_permits(1);
            self.database.0.open.send_modify(|open| *open -= 1);
        }
    }

    fn query<T>(&self, query: impl FnOnce(&mut Tables) -> T) -> Result<T, DatabaseError> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(DatabaseError::Closed);
        }
        self.database.answer()?;
        let mut tables = self.database.0.tables.lock().expect("no query panics");
        Ok(query(&mut tables))
    }
}

/// Why a database did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseError {
    /// No connection has become free in time.
    TooManyConnections,
    /// The connection was closed before.
    Closed,
    /// It is not there.
    Down,
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyConnections => "no connection to the database has become free in time",
            Self::Closed => "the connection to the database is closed",
            Self::Down => "the database does not answer",
        })
    }
}

impl std::error::Error for DatabaseError {}
