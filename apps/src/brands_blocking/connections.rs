//! A bounded set of connections to either kind of database.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use callgate_toolkit::errors::HttpError;
use postgres::NoTls;
use rusqlite::OpenFlags;

use crate::database::{
    BOUND, Brand, DatabaseUrl, OpenError, PATIENCE, Place, QUERY, SEED, failed, is_outage,
    unavailable,
};

/// Connections that are open, but for those in use. Each call takes one, so that there are as many
/// as threads and no more.
pub(super) struct Connections {
    database: Option<DatabaseUrl>,
    /// None once they have been closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Connections {
    /// Opens so many.
    pub(super) fn open(database: Option<DatabaseUrl>, size: usize) -> Result<Arc<Self>, OpenError> {
        let place = Place::of(database.as_ref())?;
        let connections = (0..size).map(|_| {
            let mut connection = Connection::open(&place)?;
            // Whether the table can be read is better known now than later.
            connection.brands().map_err(QueryError::reason)?;
            Ok(connection)
        });
        let connections = connections.collect::<Result<_, OpenError>>()?;
        Ok(Arc::new(Self {
            database,
            idle: Mutex::new(Some(connections)),
        }))
    }

    /// Closes them. One that is in use is closed when it is given back.
    pub(super) fn close(&self) -> Result<(), OpenError> {
        let connections = self.idle.lock().unwrap().take();
        drop(connections);
        Ok(())
    }

    /// Reads the table.
    pub(super) fn brands(&self) -> Result<Vec<Brand>, HttpError> {
        let begun = Instant::now();
        // One that broke while it lay idle is no failure of this call: there is the next, or a new
        // one.
        while begun.elapsed() < PATIENCE
            && let Some(connection) = self.take()
        {
            match self.ask(connection) {
                Err(QueryError::Broken(_)) => {}
                result => return Ok(result?),
            }
        }
        let place = Place::of(self.database.as_ref()).map_err(unavailable)?;
        let connection = Connection::open(&place).map_err(unavailable)?;
        Ok(self.ask(connection)?)
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap().as_mut()?.pop()
    }

    /// Reads the table through this one, and keeps it if it can be used again.
    fn ask(&self, mut connection: Connection) -> Result<Vec<Brand>, QueryError> {
        let result = connection.brands();
        if !matches!(result, Err(QueryError::Broken(_)))
            && let Some(idle) = &mut *self.idle.lock().unwrap()
        {
            idle.push(connection);
        }
        result
    }
}

impl Drop for Connections {
    /// Those that nobody has closed are closed on a thread of their own: a client of PostgreSQL
    /// blocks as it is dropped, and the last to hold the state may be a thread of the runtime.
    fn drop(&mut self) {
        if let Ok(Some(connections)) = self.idle.get_mut().map(Option::take) {
            std::thread::spawn(move || drop(connections));
        }
    }
}

enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Client),
}

impl Connection {
    fn open(place: &Place<'_>) -> Result<Self, OpenError> {
        match place {
            Place::Memory => Self::in_memory().map_err(OpenError::new),
            Place::File(path) => Self::file(path).map_err(OpenError::new),
            Place::Postgres(url) => {
                Self::postgres(url).map_err(|error| OpenError::new(text(&error)))
            }
        }
    }

    /// One that has the rows for itself: nobody writes.
    fn in_memory() -> rusqlite::Result<Self> {
        let connection = rusqlite::Connection::open_in_memory()?;
        connection.execute_batch(SEED)?;
        Ok(Self::Sqlite(connection))
    }

    fn file(path: &Path) -> rusqlite::Result<Self> {
        // Not the flag that makes a file which is not there.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(Self::Sqlite(connection))
    }

    fn postgres(url: &str) -> Result<Self, postgres::Error> {
        let mut config: postgres::Config = url.parse()?;
        if config.get_application_name().is_none() {
            config.application_name("callgate-brands-blocking");
        }
        config.connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE);
        let mut client = config.connect(NoTls)?;
        client.batch_execute(BOUND)?;
        Ok(Self::Postgres(client))
    }

    fn brands(&mut self) -> Result<Vec<Brand>, QueryError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(QUERY)?;
                let rows = statement.query_map([], |row| {
                    Ok(Brand {
                        brand_id: row.get(0)?,
                        brand_name: row.get(1)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Postgres(client) => {
                let rows = client.query(QUERY, &[])?;
                let rows = rows.iter().map(|row| {
                    Ok(Brand {
                        brand_id: row.try_get(0)?,
                        brand_name: row.try_get(1)?,
                    })
                });
                Ok(rows.collect::<Result<_, postgres::Error>>()?)
            }
        }
    }
}

/// Why a query has no rows.
enum QueryError {
    /// The connection is of no more use.
    Broken(String),
    /// The database does not serve now.
    Unavailable(String),
    /// The query is wrong for this database.
    Failed(String),
}

impl QueryError {
    fn reason(self) -> OpenError {
        let (Self::Broken(reason) | Self::Unavailable(reason) | Self::Failed(reason)) = self;
        OpenError::new(reason)
    }
}

impl From<rusqlite::Error> for QueryError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<postgres::Error> for QueryError {
    fn from(error: postgres::Error) -> Self {
        match error.code().map(postgres::error::SqlState::code) {
            None if error.is_closed() || is_io(&error) => Self::Broken(text(&error)),
            Some(code) if code.starts_with("57P") || code.starts_with("08") => {
                Self::Broken(text(&error))
            }
            Some(code) if is_outage(code) => Self::Unavailable(text(&error)),
            _ => Self::Failed(text(&error)),
        }
    }
}

impl From<QueryError> for HttpError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Broken(reason) | QueryError::Unavailable(reason) => unavailable(reason),
            QueryError::Failed(reason) => failed(reason),
        }
    }
}

fn is_io(error: &postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

/// The error with what is behind it: alone it says no more than `db error`.
fn text(error: &postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
