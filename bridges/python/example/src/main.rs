//! Routes of axum below `/rust`, and an application of FastAPI everywhere else, behind one port.

use std::process::ExitCode;
use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use callgate::AppError;
use callgate_python::Loader;
use callgate_server::cli::Program;
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::mount::Mounts;
use callgate_tower::{Resource, ServiceApp};

/// What the start-up of the part in Rust makes.
#[derive(Clone)]
struct Started(Instant);

async fn open() -> Result<Started, AppError> {
    Ok(Started(Instant::now()))
}

async fn close(_: Started) -> Result<(), AppError> {
    Ok(())
}

async fn uptime(Resource(started): Resource<Started>) -> String {
    format!("{} s\n", started.0.elapsed().as_secs())
}

async fn length(content: String) -> String {
    format!("{}\n", content.len())
}

fn rust() -> Router {
    Router::new()
        .route("/uptime", get(uptime))
        .route("/length", post(length))
}

fn load() -> Result<Mounts, ExitCode> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
    let python = Loader::new("main:app").app_dir(folder).load();
    let python = python.map_err(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })?;
    let rust = with_resource(ServiceApp::new(rust()), open, close);
    Ok(Mounts::new().mount("/rust", rust).mount("", python))
}

fn main() -> ExitCode {
    Program::load(load).main()
}
