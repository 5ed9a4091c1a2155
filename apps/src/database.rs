//! The database of `brands` and `brands-blocking`: its location, its query, and the error responses when
//! it does not answer.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use callgate_toolkit::errors::HttpError;
use http::StatusCode;
use serde::Serialize;

use crate::log_text::with_causes;

/// The number of open connections.
pub(crate) const CONNECTIONS: u8 = 6;

/// The time for which a request waits for a connection, and then for the result of the query.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);

/// The query. The ID is cast, because its type may be any integer type.
pub(crate) const QUERY: &str =
    "SELECT CAST(brand_id AS BIGINT) AS brand_id, brand_name FROM brand ORDER BY brand_id";

/// Makes PostgreSQL cancel a query after [`TIMEOUT`], in milliseconds.
#[cfg(feature = "postgres")]
pub(crate) const SET_STATEMENT_TIMEOUT: &str = "SET statement_timeout = 3000";

/// Creates the table and its rows.
pub(crate) const SEED: &str = include_str!("database/seed.sql");

/// A row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Brand {
    pub(crate) brand_id: i64,
    pub(crate) brand_name: String,
}

/// The URL of a database. It may hold a password, so its `Debug` output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    /// Accepts any text. The URL is parsed when the database is opened, so that a wrong URL concerns no
    /// other application.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(..)")
    }
}

/// The location of a database.
#[derive(Debug)]
pub(crate) enum DatabaseLocation {
    /// A database in memory, with the rows of the [`SEED`].
    Memory,
    /// A file of SQLite.
    File(PathBuf),
    /// The URL of a PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(String),
}

impl DatabaseLocation {
    /// Parses a URL. `None` is a database in memory.
    pub(crate) fn parse(url: Option<&DatabaseUrl>) -> Result<Self, OpenError> {
        let url = url.map_or("", |url| &url.0);
        if url.is_empty() {
            return Ok(Self::Memory);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            #[cfg(feature = "postgres")]
            return Ok(Self::Postgres(url.to_owned()));
            #[cfg(not(feature = "postgres"))]
            return Err(OpenError::new(
                "this program was built without PostgreSQL: build it with `--features postgres`",
            ));
        }
        let path = url
            .strip_prefix("sqlite:")
            .map(|path| path.strip_prefix("//").unwrap_or(path));
        match path {
            Some(":memory:") => Ok(Self::Memory),
            Some(path) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(OpenError::new(
                "its URL is neither one of SQLite nor one of PostgreSQL",
            )),
        }
    }
}

/// The failure to open a database.
#[derive(Debug)]
pub(crate) struct OpenError(String);

impl OpenError {
    /// Creates an error with this reason.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// Creates an error with this one, and the causes of this one, as the reason.
    pub(crate) fn caused_by(error: impl std::error::Error + 'static) -> Self {
        Self(with_causes(&error))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot open the database: {} (give one with --database-url or DATABASE_URL: \
             sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME)",
            self.0
        )
    }
}

impl std::error::Error for OpenError {}

/// Returns a 503: there is no connection, or the database does not answer.
pub(crate) fn unavailable(reason: impl Into<String>) -> HttpError {
    let message = "the database cannot be reached";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message).source(reason.into())
}

/// Returns a 500: the database refuses the query.
pub(crate) fn failed(reason: impl Into<String>) -> HttpError {
    let message = "the database could not be read";
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, message).source(reason.into())
}

/// Returns whether PostgreSQL does not serve at present, by this SQLSTATE: a connection exception, a lack
/// of resources, or an operator intervention, which includes time-outs.
#[cfg(feature = "postgres")]
pub(crate) fn is_outage(sqlstate: &str) -> bool {
    ["08", "53", "57"]
        .iter()
        .any(|class| sqlstate.starts_with(class))
}
