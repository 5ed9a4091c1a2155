//! `app`: checks an application that this program brings, or one of ASGI in Python.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use callgate::BoxApp;
use http::{HeaderName, HeaderValue, Method};

use super::command_error::CommandError;
use super::output::print;
use super::progress::Progress;
use super::python_app::PythonApp;
use super::reporting::Reporting;
use super::request_path::request_path;
use super::seconds::seconds;
use super::subjects::{NamedApp, find_app};
use crate::app_suite::{AppOptions, AppRequests, AppSuite, app_checks};
use crate::report::Report;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The application is called in this process, without sockets. An application of ASGI is called in a process of Python, as
it is; what it prints goes to standard error, and what only Callgate demands is left out:

  callgate-conformance app --asgi main:app

By default `/` is requested. --requests has the requests
that exercise the application: a recording, which `callgate run NAME --record FILE` makes, or a file such as

  GET /orders?page=2

  ### Another request
  POST /orders
  content-type: application/json

  {\"article\": 7}

  ### A WebSocket and its messages
  WEBSOCKET /changes

  {\"subscribe\": 7}
  ===
  {\"unsubscribe\": 7}

Each path is checked against every rule.")]
pub(super) struct Args {
    /// The name of an application of this program
    #[arg(required_unless_present = "asgi", conflicts_with = "asgi")]
    name: Option<String>,

    #[command(flatten)]
    python_app: PythonApp,

    /// A file with the requests to make: a recording, or the form below. Each path is checked against every rule
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "websocket_path", "method", "bodies"])]
    requests: Option<PathBuf>,

    /// Path and query of every request
    #[arg(long, value_name = "PATH", value_parser = request_path, default_value = "/")]
    path: String,

    /// Path and query of WebSockets; --path if not given
    #[arg(long, value_name = "PATH", value_parser = request_path)]
    websocket_path: Option<String>,

    /// Method of every request; GET without content and POST with some if not given
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,

    /// Header field of every request; may be repeated
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Content of the requests with content; may be repeated with more valid content, for CORE-20
    #[arg(long = "body", value_name = "TEXT")]
    bodies: Vec<String>,

    /// The application is to answer every request with an error; without this, the report says so
    #[arg(long)]
    allow_errors: bool,

    /// Prefix at which the application mounts another that responds with its scope, for SCOPE-16
    #[arg(long, value_name = "PREFIX", value_parser = request_path, conflicts_with = "asgi")]
    mounts_probe_at: Option<String>,

    /// The time to wait for an application that does nothing
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    #[arg(allow_negative_numbers = true)]
    timeout: Duration,

    #[command(flatten)]
    pub(super) reporting: Reporting,
}

/// Checks the application of `apps` that `args` name.
pub(super) fn check(args: &Args, apps: &[NamedApp]) -> Result<Report, CommandError> {
    let name = args.python_app.name().or(args.name.as_ref());
    let name = name.expect("the parser requires one of them");
    let asgi = args.python_app.import(args.timeout, "check")?.map(Arc::new);
    let make: Arc<dyn Fn() -> BoxApp + Send + Sync> = match asgi.clone() {
        Some(asgi) => Arc::new(move || BoxApp::new(asgi.make())),
        None => find_app(name, apps)?.make.clone(),
    };
    let checks: Vec<_> = app_checks().collect();
    let only = args.reporting.only(&checks, "app")?;
    let is_wanted = |id: &str| only.is_empty() || only.iter().any(|only| only == id);
    let number = checks.iter().filter(|check| is_wanted(check.rule.id));
    let mut progress = Progress::new(number.count());
    let suite = AppSuite::new(move || make(), options(args, name)?);
    let report = suite.report_with(
        |rule| is_wanted(rule.id),
        |finding| progress.on_finding(finding),
    );
    drop(progress);
    if let Some(asgi) = &asgi {
        args.python_app.note_declined_startup(asgi);
    }
    match suite.startup_failure() {
        Some(reason) if !report.has_failed() => {
            if report.failed().next().is_some() {
                print(&args.reporting.text(&report));
            }
            let message = format!("cannot check `{name}`: {reason}");
            Err(CommandError::startup(message))
        }
        _ => Ok(report),
    }
}

fn options(args: &Args, name: &str) -> Result<AppOptions, CommandError> {
    let mut options = AppOptions::new()
        .name(name)
        .asgi(args.python_app.name().is_some())
        .path(&args.path)
        .allow_errors(args.allow_errors)
        .timeout(args.timeout);
    if let Some(path) = &args.websocket_path {
        options = options.websocket_path(path);
    }
    if let Some(method) = &args.method {
        options = options.method(method.clone());
    }
    for (name, value) in &args.headers {
        options = options.header(name, value);
    }
    if let [body, others @ ..] = &args.bodies[..] {
        options = options.body(body.clone()).other_bodies(others.to_vec());
    }
    if let Some(file) = &args.requests {
        let requests = AppRequests::read(file).map_err(|error| {
            CommandError::usage(format!("--requests {}: {error}", file.display()))
        })?;
        options = options.requests(requests);
    }
    if let Some(prefix) = &args.mounts_probe_at {
        options = options.mounts_probe_at(prefix);
    }
    Ok(options)
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    let hint = "a header field is NAME:VALUE, such as accept:text/html";
    let (name, value) = text.split_once(':').ok_or(hint)?;
    let (name, value) = (name.trim(), value.trim());
    let is_field = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok();
    is_field.then(|| (name.into(), value.into())).ok_or(hint)
}
