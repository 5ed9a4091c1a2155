//! Applications in Python in a program in Rust, without sockets.
//!
//! These tests need the library of Python, and the package uvloop. `cargo xtask wheel` runs them.

mod calls;
mod lifetime;
mod loading;
mod log;
mod rules;
mod wsgi;

use callgate_python::{EventLoop, LoadError, Loader};
use callgate_toolkit::test_client::{Error, TestClient};

/// The folder of the applications.
const APPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps");

/// Returns the options of an application of `raw.py`.
fn loader(target: &str) -> Loader {
    log::start();
    Loader::new(target).app_dir(APPS)
}

/// Loads a new application `Raw`.
fn raw(event_loop: EventLoop) -> Result<callgate_python::AsgiApp, LoadError> {
    loader("raw:create")
        .factory(true)
        .event_loop(event_loop)
        .load()
}

/// Returns the content of a page.
async fn get(client: &TestClient, target: &str) -> Result<String, Error> {
    let response = client.get(target).send().await?;
    Ok(String::from_utf8_lossy(response.body()).into_owned())
}
