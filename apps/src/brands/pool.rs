//! A pool of connections to SQLite or PostgreSQL.

use std::convert::Infallible;
#[cfg(feature = "postgres")]
use std::str::FromStr;

use callgate_toolkit::errors::HttpError;
#[cfg(feature = "postgres")]
use sqlx::Postgres;
use sqlx::pool::{PoolConnection, PoolOptions};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions, Connection, Database, Executor, Sqlite};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::database::{
    Brand, CONNECTIONS, DatabaseLocation, DatabaseUrl, OpenError, QUERY, SEED, TIMEOUT, failed,
    unavailable,
};
#[cfg(feature = "postgres")]
use crate::database::{SET_STATEMENT_TIMEOUT, is_outage};
use crate::log_text::with_causes;

/// Open connections, shared by all clones. This is an enum, and not sqlx's driver for any database, so
/// that each kind of database has its own options.
#[derive(Clone)]
pub(super) enum ConnectionPool {
    Sqlite(SqlitePool),
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

impl ConnectionPool {
    /// Opens all connections, and checks that the table can be read.
    pub(super) async fn open(database: Option<&DatabaseUrl>) -> Result<Self, OpenError> {
        let pool = Self::connect(DatabaseLocation::parse(database)?).await?;
        let brands = pool.brands().await;
        brands.map(|_| pool).map_err(OpenError::caused_by)
    }

    async fn connect(place: DatabaseLocation) -> Result<Self, OpenError> {
        match place {
            DatabaseLocation::Memory => {
                // Each connection has its own copy of the rows, because the rows are never written.
                let options = SqliteConnectOptions::new().filename(":memory:");
                let pool = pool::<Sqlite>().after_connect(|connection, _| {
                    Box::pin(async move { connection.execute(SEED).await.map(drop) })
                });
                let pool = pool
                    .connect_with(options)
                    .await
                    .map_err(OpenError::caused_by)?;
                Ok(Self::Sqlite(pool))
            }
            DatabaseLocation::File(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(&path)
                    .busy_timeout(TIMEOUT);
                let checked = check_connection(&options).await;
                checked
                    .map_err(|reason| OpenError::new(format!("{}: {reason}", path.display())))?;
                let pool = pool().connect_with(options).await;
                Ok(Self::Sqlite(pool.map_err(OpenError::caused_by)?))
            }
            #[cfg(feature = "postgres")]
            DatabaseLocation::Postgres(url) => {
                let mut options = PgConnectOptions::from_str(&url).map_err(OpenError::caused_by)?;
                if options.get_application_name().is_none() {
                    options = options.application_name("callgate-brands");
                }
                check_connection(&options).await.map_err(OpenError::new)?;
                let pool = pool::<Postgres>().after_connect(|connection, _| {
                    Box::pin(
                        async move { connection.execute(SET_STATEMENT_TIMEOUT).await.map(drop) },
                    )
                });
                let pool = pool.connect_with(options).await;
                Ok(Self::Postgres(pool.map_err(OpenError::caused_by)?))
            }
        }
    }

    /// Reads the table.
    pub(super) async fn brands(&self) -> Result<Vec<Brand>, HttpError> {
        match self {
            Self::Sqlite(pool) => {
                let mut connection = pool
                    .acquire()
                    .await
                    .map_err(|error| unavailable(with_causes(&error)))?;
                let query = sqlx::query_as(QUERY).fetch_all(&mut *connection);
                finish(timeout(2 * TIMEOUT, query).await, connection, is_busy)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                let mut connection = pool
                    .acquire()
                    .await
                    .map_err(|error| unavailable(with_causes(&error)))?;
                let query = sqlx::query_as(QUERY).fetch_all(&mut *connection);
                finish(timeout(2 * TIMEOUT, query).await, connection, is_outage)
            }
        }
    }

    /// Closes all connections, after those that are in use have been returned.
    pub(super) async fn close(self) -> Result<(), Infallible> {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.close().await,
        }
        Ok(())
    }
}

fn pool<DB: Database>() -> PoolOptions<DB> {
    PoolOptions::new()
        .min_connections(CONNECTIONS.into())
        .max_connections(CONNECTIONS.into())
        .acquire_timeout(TIMEOUT)
}

/// Opens a connection and closes it. If the database cannot be reached, this returns the reason, where a
/// pool would only time out.
async fn check_connection<O: ConnectOptions>(options: &O) -> Result<(), String>
where
    O::Connection: Sized,
{
    let check = async { options.connect().await?.close().await };
    match timeout(TIMEOUT, check).await {
        Ok(checked) => checked.map_err(|error| with_causes(&error)),
        Err(_) => Err(format!("no answer within {TIMEOUT:?}")),
    }
}

fn finish<DB: Database>(
    rows: Result<Result<Vec<(i64, String)>, sqlx::Error>, Elapsed>,
    mut connection: PoolConnection<DB>,
    is_outage: fn(&str) -> bool,
) -> Result<Vec<Brand>, HttpError> {
    let Ok(rows) = rows else {
        // The result may still arrive, and must not be read as that of the next query.
        connection.close_on_drop();
        return Err(unavailable("it did not answer in time"));
    };
    let rows = rows.map_err(|error| match &error {
        sqlx::Error::Database(answer) if answer.code().is_some_and(|code| !is_outage(&code)) => {
            failed(with_causes(&error))
        }
        sqlx::Error::ColumnDecode { .. } => failed(with_causes(&error)),
        _ => unavailable(with_causes(&error)),
    })?;
    let brands = rows.into_iter().map(|(brand_id, brand_name)| Brand {
        brand_id,
        brand_name,
    });
    Ok(brands.collect())
}

/// Returns whether this code of SQLite is `SQLITE_BUSY` or extends it: another connection has locked the
/// database.
fn is_busy(code: &str) -> bool {
    code.parse::<i32>().is_ok_and(|code| code & 0xff == 5)
}
