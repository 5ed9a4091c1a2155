//! A stand-in for a database: `items` shows how a connection is used, not SQL.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, watch};

/// The number of items that are kept.
const MAX_ITEMS: usize = 1000;

/// The time for which a caller waits for a free connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A database in memory, with connections like those of a real one: they are opened and closed, their
/// number is limited, and a connection that is not closed stays open.
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

/// An item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The ID of the item.
    pub item_id: i64,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// The ID of the user.
    pub user_id: i64,
    /// The name of the user.
    pub name: &'static str,
}

impl Database {
    /// Creates a database with a few items and users that accepts `max_connections` at a time.
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

    /// Opens a connection, which the caller has to [close](Connection::close), and waits for a free one
    /// before that.
    ///
    /// # Errors
    ///
    /// Returns [`DatabaseError::TooManyConnections`] if none is free within 5 seconds, and
    /// [`DatabaseError::Down`].
    pub async fn connect(&self) -> Result<Connection, DatabaseError> {
        let free = tokio::time::timeout(TIMEOUT, self.0.free.acquire()).await;
        let free = free.map_err(|_| DatabaseError::TooManyConnections)?;
        let free = free.expect("never closed");
        self.check_up()?;
        free.forget();
        self.0.open.send_modify(|open| *open += 1);
        Ok(Connection {
            database: self.clone(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Returns a receiver of the number of open connections.
    #[must_use]
    pub fn connections(&self) -> watch::Receiver<usize> {
        self.0.open.subscribe()
    }

    /// Sets whether the database is down. While it is down, each query fails.
    pub fn set_down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::Relaxed);
    }

    fn check_up(&self) -> Result<(), DatabaseError> {
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
    /// Returns all items, the oldest first.
    ///
    /// # Errors
    ///
    /// Like the other queries, returns [`DatabaseError::Down`] and [`DatabaseError::Closed`].
    pub async fn items(&self) -> Result<Vec<Item>, DatabaseError> {
        self.query(|tables| tables.items.iter().cloned().collect())
    }

    /// Adds an item. If there are 1000, the oldest is removed.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`items`](Self::items).
    pub async fn insert(&self, item: Item) -> Result<(), DatabaseError> {
        self.query(|tables| {
            if tables.items.len() == MAX_ITEMS {
                tables.items.pop_front();
            }
            tables.items.push_back(item);
        })
    }

    /// Returns the user with this ID.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`items`](Self::items).
    pub async fn user(&self, user_id: i64) -> Result<Option<User>, DatabaseError> {
        self.query(|tables| {
            let mut users = tables.users.iter();
            users.find(|user| user.user_id == user_id).cloned()
        })
    }

    /// Closes the connection. Closing it again has no effect.
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
        self.database.check_up()?;
        let mut tables = self.database.0.tables.lock().expect("no query panics");
        Ok(query(&mut tables))
    }
}

/// The failure of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseError {
    /// No connection became free in time.
    TooManyConnections,
    /// The connection is closed.
    Closed,
    /// The database is down.
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
