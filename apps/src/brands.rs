//! `GET /brands`: the rows of a table, by way of a pool of connections that is opened at start-up
//! and closed at shutdown. With axum, and a driver that does not block: [`brands_blocking`] is the
//! same with one that does.
//!
//! [`brands_blocking`]: crate::brands_blocking

use axum::routing::get;
use axum::{Json, Router};
use callgate::BoxApp;
use callgate_toolkit::lifespan::with_resource;
use callgate_tower::Resource;
use http::StatusCode;

use crate::api::{self, Failure, Index};
use crate::database::{Brand, DatabaseUrl};
use crate::{Entry, Group};

mod pool;

use pool::Pool;

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "brands",
    group: Group::Data,
    summary: INDEX.summary,
    try_it: &["curl -i {http}brands"],
    app: |settings| app(settings.database_url.clone()),
};

const INDEX: Index = Index {
    summary: "Reads a table of SQLite or PostgreSQL through a pool of connections.",
    routes: &["GET /brands"],
};

/// Serves the brands of this database; of one in memory, if there is none.
pub fn app(database: Option<DatabaseUrl>) -> BoxApp {
    let routes = Router::new().route("/brands", get(brands));
    let open = move || {
        let database = database.clone();
        async move { Pool::open(database.as_ref()).await }
    };
    BoxApp::new(with_resource(api::app(routes, INDEX), open, Pool::close))
}

async fn brands(
    pool: Result<Resource<Pool>, (StatusCode, String)>,
) -> Result<Json<Vec<Brand>>, Failure> {
    let Resource(pool) =
        pool.map_err(|(status, reason)| Failure::new(status, reason.trim_end()))?;
    Ok(Json(pool.brands().await?))
}
