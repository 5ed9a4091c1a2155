//! A pool of connections to either kind of database.

use std::convert::Infallible;
use std::str::FromStr;

use callgate_toolkit::errors::HttpError;
use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{ConnectOptions, Connection, Database, Executor, Postgres, Sqlite};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::database::{
    BOUND, Brand, CONNECTIONS, DatabaseUrl, OpenError, PATIENCE, Place, QUERY, SEED, failed,
    is_outage, unavailable,
};

/// Open connections, shared by all clones. An enum and not the driver for any database of sqlx: so
/// each kind has its own options.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    /// Opens all connections, and sees that the table can be read.
    pub(super) async fn open(database: Option<&DatabaseUrl>) -> Result<Self, OpenError> {
        let pool = Self::connect(Place::of(database)?).await?;
        let brands = pool.brands().await;
        brands.map(|_| pool).map_err(OpenError::new)
    }

    async fn connect(place: Place<'_>) -> Result<Self, OpenError> {
        match place {
            Place::Memory => {
                // Each connection has the rows for itself: nobody writes, and one may break.
                let options = SqliteConnectOptions::new().filename(":memory:");
                let pool = pool::<Sqlite>().after_connect(|connection, _| {
                    Box::pin(async move { connection.execute(SEED).await.map(drop) })
                });
                let pool = pool.connect_with(options).await.map_err(OpenError::new)?;
                Ok(Self::Sqlite(pool))
            }
            Place::File(path) => {
                let options = SqliteConnectOptions::new()
                    .filename(&path)
                    .busy_timeout(PATIENCE);
                let tried = try_out(&options).await;
                tried.map_err(|reason| {
                    OpenError::new(format_args!("{}: {reason}", path.display()))
                })?;
                let pool = pool().connect_with(options).await;
                Ok(Self::Sqlite(pool.map_err(OpenError::new)?))
            }
            Place::Postgres(url) => {
                let mut options = PgConnectOptions::from_str(url).map_err(OpenError::new)?;
                if options.get_application_name().is_none() {
                    options = options.application_name("callgate-brands");
                }
                try_out(&options).await.map_err(OpenError::new)?;
                let pool = pool::<Postgres>().after_connect(|connection, _| {
                    Box::pin(async move { connection.execute(BOUND).await.map(drop) })
                });
                let pool = pool.connect_with(options).await;
                Ok(Self::Postgres(pool.map_err(OpenError::new)?))
            }
        }
    }

    /// Reads the table.
    pub(super) async fn brands(&self) -> Result<Vec<Brand>, HttpError> {
        match self {
            Self::Sqlite(pool) => {
                let mut connection = pool.acquire().await.map_err(unavailable)?;
                let query = sqlx::query_as(QUERY).fetch_all(&mut *connection);
                finish(timeout(2 * PATIENCE, query).await, connection, is_busy)
            }
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await.map_err(unavailable)?;
                let query = sqlx::query_as(QUERY).fetch_all(&mut *connection);
                finish(timeout(2 * PATIENCE, query).await, connection, is_outage)
            }
        }
    }

    /// Closes all connections, once those that are in use have been given back.
    pub(super) async fn close(self) -> Result<(), Infallible> {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
        Ok(())
    }
}

fn pool<DB: Database>() -> PoolOptions<DB> {
    PoolOptions::new()
        .min_connections(CONNECTIONS.into())
        .max_connections(CONNECTIONS.into())
        .acquire_timeout(PATIENCE)
}

/// Sees with one connection that the database is there. A pool would wait for it, and not say why.
async fn try_out<O: ConnectOptions>(options: &O) -> Result<(), String>
where
    O::Connection: Sized,
{
    let trying = async { options.connect().await?.close().await };
    match timeout(PATIENCE, trying).await {
        Ok(tried) => tried.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

fn finish<DB: Database>(
    rows: Result<Result<Vec<(i64, String)>, sqlx::Error>, Elapsed>,
    mut connection: PoolConnection<DB>,
    is_outage: fn(&str) -> bool,
) -> Result<Vec<Brand>, HttpError> {
    let Ok(rows) = rows else {
        // Its answer may still come, and is not that of the next query.
        connection.close_on_drop();
        return Err(unavailable("it did not answer in time"));
    };
    let rows = rows.map_err(|error| match &error {
        sqlx::Error::Database(answer) if answer.code().is_some_and(|code| !is_outage(&code)) => {
            failed(error)
        }
        sqlx::Error::ColumnDecode { .. } => failed(error),
        _ => unavailable(error),
    })?;
    let brands = rows.into_iter().map(|(brand_id, brand_name)| Brand {
        brand_id,
        brand_name,
    });
    Ok(brands.collect())
}

/// Whether SQLite says with this code that somebody else has locked the database: `SQLITE_BUSY`, or
/// what extends it.
fn is_busy(code: &str) -> bool {
    code.parse::<i32>().is_ok_and(|code| code & 0xff == 5)
}
