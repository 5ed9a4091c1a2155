//! [`brands`](crate::brands) with blocking drivers: each call has a thread of a bounded pool, as it would
//! have under WSGI. The threads are not those of the runtime, on which the driver of PostgreSQL cannot
//! be used.

use std::io::Read;
use std::sync::Arc;

use callgate::{AppError, BoxApp, HttpScope};
use callgate_toolkit::blocking::ThreadPool;
use callgate_toolkit::lifespan::with_resource;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use serde::Serialize;

use crate::api::Index;
use crate::database::{CONNECTIONS, DatabaseUrl, OpenError, TIMEOUT};
use crate::{Entry, Group, http_errors, method};

mod connections;

use connections::Connections;

/// The entry of `brands-blocking` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "brands-blocking",
    group: Group::Data,
    summary: INDEX.summary,
    try_it: &["curl -i {http}brands"],
    service: None,
    source: include_str!("brands_blocking.rs"),
    app: |settings| {
        let threads = ThreadPool::new(CONNECTIONS.into()).max_wait(TIMEOUT);
        app(settings.database_url.clone(), &threads)
    },
};

const INDEX: Index = Index {
    summary: "Does what brands does on a bounded pool of threads, with blocking drivers.",
    routes: &["GET /brands"],
};

/// Creates the application for this database, on these threads. `None` is a database in memory. There
/// are as many connections as threads.
pub fn app(database: Option<DatabaseUrl>, threads: &ThreadPool) -> BoxApp {
    let size = threads.size();
    let open = move || {
        let database = database.clone();
        blocking(move || Connections::open(database, size))
    };
    let close = |connections: Arc<Connections>| blocking(move || connections.close());
    let app = threads.app(|request: Request<()>, _: &mut dyn Read| serve(&request));
    BoxApp::new(with_resource(http_errors::handle(app), open, close))
}

/// Runs blocking code of start-up or shutdown on a thread for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, AppError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(AppError::failed)?.map_err(AppError::failed)
}

fn serve(request: &Request<()>) -> Result<Response<Vec<u8>>, AppError> {
    let scope = request.extensions().get::<HttpScope>();
    let scope = scope.expect("the pool of threads inserts the scope");
    let path = scope.route_path();
    if !matches!(&*path, "/" | "/brands") {
        return Err(http_errors::not_found().into());
    }
    if !method::is_get_or_head(&scope.method) {
        return Err(http_errors::method_not_allowed("GET, HEAD").into());
    }
    if path == "/" {
        return json(&INDEX);
    }
    let connections = scope.state.get::<Arc<Connections>>();
    let connections =
        connections.ok_or_else(|| AppError::failed("start-up has opened no database"))?;
    json(&connections.brands()?)
}

fn json(value: &impl Serialize) -> Result<Response<Vec<u8>>, AppError> {
    let mut response = Response::new(serde_json::to_vec(value)?);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
