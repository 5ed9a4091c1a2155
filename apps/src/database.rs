//! The database of `brands` and `brands-blocking`: where it is, what it is asked, and what a client
//! is told when it does not answer.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use callgate_toolkit::errors::HttpError;
use http::StatusCode;
use serde::Serialize;

/// How many connections are kept.
pub(crate) const CONNECTIONS: u8 = 6;

/// How long a connection is waited for, and then the database's answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// A number of any size that the database has for it, read as one of 64 bits.
pub(crate) const QUERY: &str =
    "SELECT CAST(brand_id AS BIGINT) AS brand_id, brand_name FROM brand ORDER BY brand_id";

/// Has PostgreSQL end by itself what takes too long: [`PATIENCE`], in milliseconds.
pub(crate) const BOUND: &str = "SET statement_timeout = 3000";

/// Makes the table and its rows.
pub(crate) const SEED: &str = include_str!("database/seed.sql");

/// A row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Brand {
    pub(crate) brand_id: i64,
    pub(crate) brand_name: String,
}

/// The URL of a database. It may have a password in it, and so it is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    /// Takes any text: whether it is right matters where a database is opened, and to no other
    /// application.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(..)")
    }
}

/// Where a database is.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// In memory, with the rows of the [`SEED`].
    Memory,
    /// In this file, of SQLite.
    File(PathBuf),
    /// At this URL, of PostgreSQL.
    Postgres(&'a str),
}

impl<'a> Place<'a> {
    /// Where this URL says; in memory, if there is none.
    pub(crate) fn of(url: Option<&'a DatabaseUrl>) -> Result<Self, OpenError> {
        let url = url.map_or("", |url| &url.0);
        if url.is_empty() {
            return Ok(Self::Memory);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url));
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

/// Why a database could not be opened.
#[derive(Debug)]
pub(crate) struct OpenError(String);

impl OpenError {
    pub(crate) fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
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

/// 503: there is no connection, or it does not answer.
pub(crate) fn unavailable(reason: impl fmt::Display) -> HttpError {
    let message = "the database cannot be reached";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message).source(reason.to_string())
}

/// 500: the database has answered that something is wrong.
pub(crate) fn failed(reason: impl fmt::Display) -> HttpError {
    let message = "the database could not be read";
    HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, message).source(reason.to_string())
}

/// Whether PostgreSQL says with this SQLSTATE that it does not serve now: an exception of the
/// connection, a lack of resources, or an operator's intervention, which time-outs are.
pub(crate) fn is_outage(sqlstate: &str) -> bool {
    ["08", "53", "57"]
        .iter()
        .any(|class| sqlstate.starts_with(class))
}
