//! `GET /brands`: the rows of a table, read through a pool of connections that is opened at start-up and
//! closed at shutdown. It uses axum and an asynchronous driver; [`brands_blocking`] does the same with
//! a blocking driver.
//!
//! [`brands_blocking`]: crate::brands_blocking

use axum::routing::get;
use axum::{Json, Router};
use callgate::BoxApp;
use callgate_toolkit::lifespan::with_resource;
use callgate_tower::Resource;
use http::StatusCode;

use crate::api::{self, ApiError, Index};
use crate::database::{Brand, DatabaseUrl};
use crate::{Entry, Group};

mod pool;

use pool::ConnectionPool;

/// The entry of `brands` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "brands",
    group: Group::Data,
    summary: INDEX.summary,
    try_it: &["curl -i {http}brands"],
    service: None,
    source: include_str!("brands.rs"),
    app: |settings| app(settings.database_url.clone()),
};

const INDEX: Index = Index {
    summary: "Reads a table of SQLite or PostgreSQL through a pool of connections.",
    routes: &["GET /brands"],
};

/// Creates the application for this database. `None` is a database in memory.
pub fn app(database: Option<DatabaseUrl>) -> BoxApp {
    let routes = Router::new().route("/brands", get(brands));
    let open = move || {
        let database = database.clone();
        async move { ConnectionPool::open(database.as_ref()).await }
    };
    BoxApp::new(with_resource(
        api::app(routes, INDEX),
        open,
        ConnectionPool::close,
    ))
}

async fn brands(
    pool: Result<Resource<ConnectionPool>, (StatusCode, String)>,
) -> Result<Json<Vec<Brand>>, ApiError> {
    let Resource(pool) =
        pool.map_err(|(status, reason)| ApiError::new(status, reason.trim_end()))?;
    Ok(Json(pool.brands().await?))
}
