//! A REST interface: asynchronous handlers and a blocking one, parameters of the path, work after the
//! response, and a connection that is opened before a handler and closed after it, however it ends.

mod access_log;
mod database;

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use callgate::{App, AppError, BoxApp};
use callgate_toolkit::errors::HttpError;
use callgate_tower::Background;
use http::StatusCode;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use self::access_log::AccessLog;
pub use self::database::{Connection, Database, DatabaseError, Item, User};
use crate::api::{self, ApiError, Index, Path};
use crate::{Entry, Group, Settings};

/// The entry of `items` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "items",
    group: Group::Data,
    summary: "Serves items over REST, with a blocking handler and work after the response.",
    try_it: &[
        "curl -i {http}items/42",
        "curl -i -X POST {http}items/42",
        "curl -i {http}items/",
        "curl -i {http}users/1",
    ],
    service: None,
    source: include_str!("items.rs"),
    app: |settings| BoxApp::new(from_settings(settings)),
};

const INDEX: Index = Index {
    summary: ENTRY.summary,
    routes: &[
        "GET /items/",
        "GET /items/{item_id}",
        "POST /items/{item_id}",
        "GET /sync/items/{item_id}",
        "GET /users/{user_id}",
    ],
};

/// The number of connections that the database accepts.
const MAX_CONNECTIONS: usize = 100;

/// The number of blocking handlers that run at a time, each on a thread of its own. Others wait
/// without a thread.
const MAX_BLOCKING: usize = 8;

fn from_settings(settings: &Settings) -> impl App + use<> {
    let log = settings.items_log.clone().map(AccessLog::new);
    let log = move |item_id| log.as_ref().map_or(Ok(()), |log| log.write(item_id));
    items(Database::new(MAX_CONNECTIONS), log)
}

/// Creates the application, with the items and users of this database. `log` may block; the blocking
/// handler calls it with the ID of each item.
#[must_use]
pub fn items(
    database: Database,
    log: impl Fn(i64) -> io::Result<()> + Send + Sync + 'static,
) -> impl App {
    let state = AppState {
        database,
        log: Arc::new(log),
        blocking: Arc::new(Semaphore::new(MAX_BLOCKING)),
    };
    let routes = Router::new()
        .route("/items", get(list))
        .route("/items/", get(list))
        .route("/items/{item_id}", get(read).post(receive))
        .route("/sync/items/{item_id}", get(read_blocking))
        .route("/users/{user_id}", get(user))
        .with_state(state);
    api::app(routes, INDEX)
}

/// The state that the handlers share.
#[derive(Clone, FromRef)]
struct AppState {
    database: Database,
    #[from_ref(skip)]
    log: Arc<dyn Fn(i64) -> io::Result<()> + Send + Sync>,
    #[from_ref(skip)]
    blocking: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct ItemPath {
    item_id: i64,
}

#[derive(Deserialize)]
struct UserPath {
    user_id: i64,
}

async fn read(Path(ItemPath { item_id }): Path<ItemPath>) -> Json<Item> {
    Json(Item { item_id })
}

/// Runs blocking code on a thread for it.
async fn read_blocking(
    State(state): State<AppState>,
    Path(ItemPath { item_id }): Path<ItemPath>,
) -> Result<Json<Item>, ApiError> {
    let permit = state.blocking.acquire_owned().await;
    let log = state.log;
    let handler = move || {
        // The permit is released when the thread is free, even if the client disconnects before.
        let _permit = permit;
        log(item_id)?;
        Ok(Json(Item { item_id }))
    };
    let ended = tokio::task::spawn_blocking(handler).await;
    ended
        .unwrap_or_else(|panic| Err(io::Error::other(panic)))
        .map_err(|error| {
            let message = "the access could not be logged";
            let response = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, message);
            response.source(error).into()
        })
}

#[derive(Serialize)]
struct Received {
    message: &'static str,
}

async fn receive(
    State(database): State<Database>,
    background: Background,
    Path(ItemPath { item_id }): Path<ItemPath>,
) -> Json<Received> {
    background.add(process(database, item_id));
    Json(Received {
        message: "Item received",
    })
}

/// Runs after the response. A server that shuts down waits for it.
async fn process(database: Database, item_id: i64) -> Result<(), AppError> {
    let connection = database.connect().await?;
    let inserted = connection.insert(Item { item_id }).await;
    connection.close().await;
    inserted?;
    tracing::info!("item {item_id} has been processed");
    Ok(())
}

async fn list(connection: DbConnection) -> Result<Json<Vec<Item>>, ApiError> {
    Ok(Json(connection.items().await?))
}

async fn user(
    Path(UserPath { user_id }): Path<UserPath>,
    connection: DbConnection,
) -> Result<Json<User>, ApiError> {
    match connection.user(user_id).await? {
        Some(user) => Ok(Json(user)),
        None => {
            let message = format!("there is no user {user_id}");
            Err(ApiError::new(StatusCode::NOT_FOUND, message))
        }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        let status = match error {
            DatabaseError::Closed => StatusCode::INTERNAL_SERVER_ERROR,
            DatabaseError::Down | DatabaseError::TooManyConnections => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.to_string())
    }
}

/// Extracts a connection that is opened before the handler and closed after the exchange: after the
/// response has been sent, and also when the handler fails or panics, or the client disconnects.
#[derive(Debug)]
pub struct DbConnection(Arc<Connection>);

impl Deref for DbConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl<S> FromRequestParts<S> for DbConnection
where
    Database: FromRef<S>,
    S: Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let background = Background::from_request_parts(parts, state).await;
        let background = background.map_err(IntoResponse::into_response)?;
        let connection = Database::from_ref(state).connect().await;
        let connection = connection.map_err(|error| ApiError::from(error).into_response())?;
        let connection = Arc::new(connection);
        // The background work closes the connection however the handler ends. Dropping the connection
        // could not, because closing it is asynchronous.
        let closing = connection.clone();
        background.add(async move {
            closing.close().await;
            Ok(())
        });
        Ok(Self(connection))
    }
}
