//! A bounded set of connections to SQLite or PostgreSQL.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use callgate_toolkit::errors::HttpError;
use rusqlite::OpenFlags;

use crate::database::{
    Brand, DatabaseLocation, DatabaseUrl, OpenError, QUERY, SEED, TIMEOUT, failed, unavailable,
};
use crate::log_text::with_causes;

/// Open connections. Each call takes a connection, so there are never more connections than threads.
pub(super) struct Connections {
    database: Option<DatabaseUrl>,
    /// The connections that no call uses; `None` after they were closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Connections {
    /// Opens `size` connections.
    pub(super) fn open(database: Option<DatabaseUrl>, size: usize) -> Result<Arc<Self>, OpenError> {
        let location = DatabaseLocation::parse(database.as_ref())?;
        let connections = (0..size).map(|_| {
            let mut connection = Connection::open(&location)?;
            // A table that cannot be read fails the start-up, and not the first request.
            connection.brands().map_err(QueryError::reason)?;
            Ok(connection)
        });
        let connections = connections.collect::<Result<_, OpenError>>()?;
        Ok(Arc::new(Self {
            database,
            idle: Mutex::new(Some(connections)),
        }))
    }

    /// Closes the connections. A connection in use is closed when its call returns it.
    pub(super) fn close(&self) -> Result<(), OpenError> {
        let connections = self.idle.lock().unwrap().take();
        drop(connections);
        Ok(())
    }

    /// Reads the table.
    pub(super) fn brands(&self) -> Result<Vec<Brand>, HttpError> {
        let begun = Instant::now();
        // A connection that broke while it was idle does not fail this call: the next one, or a new
        // one, is used.
        while begun.elapsed() < TIMEOUT
            && let Some(connection) = self.take()
        {
            match self.query(connection) {
                Err(QueryError::Broken(_)) => {}
                result => return Ok(result?),
            }
        }
        let location = DatabaseLocation::parse(self.database.as_ref())
            .map_err(|error| unavailable(error.to_string()))?;
        let connection =
            Connection::open(&location).map_err(|error| unavailable(error.to_string()))?;
        Ok(self.query(connection)?)
    }

    /// Takes an idle connection, if there is one.
    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap().as_mut()?.pop()
    }

    /// Reads the table through this connection, and returns the connection unless it is broken.
    fn query(&self, mut connection: Connection) -> Result<Vec<Brand>, QueryError> {
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
    /// Closes connections that are still open on a thread of its own: the client of PostgreSQL blocks
    /// when it is dropped, and a thread of the runtime may drop the last reference.
    fn drop(&mut self) {
        if let Ok(Some(connections)) = self.idle.get_mut().map(Option::take) {
            std::thread::spawn(move || drop(connections));
        }
    }
}

enum Connection {
    Sqlite(rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Client),
}

impl Connection {
    fn open(location: &DatabaseLocation) -> Result<Self, OpenError> {
        match location {
            DatabaseLocation::Memory => Self::in_memory().map_err(OpenError::caused_by),
            DatabaseLocation::File(path) => Self::file(path).map_err(OpenError::caused_by),
            #[cfg(feature = "postgres")]
            DatabaseLocation::Postgres(url) => Self::postgres(url).map_err(OpenError::caused_by),
        }
    }

    /// Opens a database in memory. Each connection has its own copy of the rows, because the rows
    /// are never written.
    fn in_memory() -> rusqlite::Result<Self> {
        let connection = rusqlite::Connection::open_in_memory()?;
        connection.execute_batch(SEED)?;
        Ok(Self::Sqlite(connection))
    }

    fn file(path: &Path) -> rusqlite::Result<Self> {
        // Without the flag that creates a missing file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(TIMEOUT)?;
        Ok(Self::Sqlite(connection))
    }

    #[cfg(feature = "postgres")]
    fn postgres(url: &str) -> Result<Self, postgres::Error> {
        let mut config: postgres::Config = url.parse()?;
        if config.get_application_name().is_none() {
            config.application_name("callgate-brands-blocking");
        }
        config.connect_timeout(TIMEOUT).tcp_user_timeout(TIMEOUT);
        let mut client = config.connect(postgres::NoTls)?;
        client.batch_execute(crate::database::SET_STATEMENT_TIMEOUT)?;
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
            #[cfg(feature = "postgres")]
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

/// The failure of a query.
enum QueryError {
    /// The connection is broken. SQLite has no connection that breaks.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code))]
    Broken(String),
    /// The database does not serve at present.
    Unavailable(String),
    /// The database refuses the query.
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
            Some(rusqlite::ErrorCode::DatabaseBusy) => Self::Unavailable(with_causes(&error)),
            _ => Self::Failed(with_causes(&error)),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<postgres::Error> for QueryError {
    fn from(error: postgres::Error) -> Self {
        match error.code().map(postgres::error::SqlState::code) {
            None if error.is_closed() || is_io(&error) => Self::Broken(with_causes(&error)),
            Some(code) if code.starts_with("57P") || code.starts_with("08") => {
                Self::Broken(with_causes(&error))
            }
            Some(code) if crate::database::is_outage(code) => {
                Self::Unavailable(with_causes(&error))
            }
            _ => Self::Failed(with_causes(&error)),
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

#[cfg(feature = "postgres")]
fn is_io(error: &postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}
