//! [`brands`](crate::brands) with drivers that block: each call has a thread of a bounded pool, as
//! it would have under WSGI. The threads are plain ones: the driver of PostgreSQL cannot be used on
//! a thread of the runtime.

use std::io::Read;
use std::sync::Arc;

use callgate::{AppError, BoxApp, HttpScope};
use callgate_toolkit::blocking::Pool;
use callgate_toolkit::lifespan::with_resource;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use serde::Serialize;

use crate::api::Index;
use crate::database::{CONNECTIONS, DatabaseUrl, OpenError, PATIENCE};
use crate::{Entry, Group, failures, method};

mod connections;

use connections::Connections;

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "brands-blocking",
    group: Group::Data,
    summary: INDEX.summary,
    try_it: &["curl -i {http}brands"],
    app: |settings| {
        let threads = Pool::new(CONNECTIONS.into()).max_wait(PATIENCE);
        app(settings.database_url.clone(), &threads)
    },
};

const INDEX: Index = Index {
    summary: "Does what brands does on a bounded pool of threads, with drivers that block.",
    routes: &["GET /brands"],
};

/// Serves the brands of this database, of one in memory if there is none, on these threads. There
/// are as many connections as threads.
pub fn app(database: Option<DatabaseUrl>, threads: &Pool) -> BoxApp {
    let size = threads.size();
    let open = move || {
        let database = database.clone();
        blocking(move || Connections::open(database, size))
    };
    let close = |connections: Arc<Connections>| blocking(move || connections.close());
    let app = threads.app(|request: Request<()>, _: &mut dyn Read| serve(&request));
    BoxApp::new(with_resource(failures::answered(app), open, close))
}

/// Runs what blocks, at start-up or at shutdown, on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, AppError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(AppError::failed)?.map_err(AppError::failed)
}

fn serve(request: &Request<()>) -> Result<Response<Vec<u8>>, AppError> {
    let scope = request.extensions().get::<HttpScope>();
    let scope = scope.expect("the pool of threads puts it there");
    let path = scope.route_path();
    if !matches!(&*path, "/" | "/brands") {
        return Err(failures::not_found().into());
    }
    if !method::is_read(&scope.method) {
        return Err(failures::method_not_allowed("GET, HEAD").into());
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
