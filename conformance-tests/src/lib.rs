//! Checks any application, and any server, against the documents of Callgate.
//!
//! Every rule of the documents (`callgate::rule`) has at least one [`Check`] here. A [`Report`] has
//! the verdict of each check of one application or one server.
//!
//! - [`app_tests!`] tests an application with one line of code; [`check_app`] returns a report.
//! - `check_server` checks a server while it serves the [`Probe`].
//! - `check_http` checks anything that serves HTTP on a port, from outside.
//! - [`Lint`] checks every message while an application is served.
//! - [`Recorder`] records exchanges, and [`replay()`] replays them.
//! - [`ExchangeObserver`] is what a middleware implements that only looks at the messages, as these two do.
//! - [`Model`] is the state machine behind all of them.
//!
//! `check_server` and `check_http` need the feature `server`, `CheckFlags` the feature `flags`, `Format::Junit` the feature `junit`, and
//! the command line `cli` the feature of this name. None is on by default, so that the tests of an application build little.

mod app_suite;
mod app_tests;
#[cfg(feature = "cli")]
mod asgi_app;
mod basis;
mod call_end;
mod check;
#[cfg(feature = "flags")]
mod check_flags;
#[cfg(feature = "cli")]
pub mod cli;
mod driver;
#[cfg(feature = "server")]
mod http_suite;
mod lint;
mod model;
mod observe;
mod probe;
mod record;
mod replay;
mod report;
mod scope_kind;
#[cfg(feature = "server")]
mod server_suite;

pub use app_suite::{
    AppOptions, AppRequests, AppRequestsError, AppSuite, app_checks, app_rules, check_app,
    scope_probe,
};
pub use basis::{Basis, Citation, Document};
pub use call_end::CallEnd;
pub use check::{Check, Failure, Verdict};
#[cfg(feature = "flags")]
pub use check_flags::CheckFlags;
#[cfg(feature = "server")]
pub use http_suite::{
    HttpCheck, HttpFinding, HttpOptions, HttpReport, HttpTarget, check_http, http_checks,
};
pub use lint::{Lint, ViolationCount, ViolationReport};
pub use model::{Model, SendAttempt, scope_violations};
pub use observe::{ExchangeObserver, ObservedEnd, call_observed};
pub use probe::{
    PROBE_FIELD, PROBE_VARIABLE, Probe, ProbeCallEnd, ProbeCommand, ProbeMessage, SendOutcome, Step,
};
pub use record::{MASKED, RecordFile, RecordLine, Recorder};
pub use replay::{Replay, ReplayDifference, ReplayError, ReplayOptions, replay, replay_running};
pub use report::{Finding, Format, Report, TableOptions};
#[cfg(feature = "server")]
pub use server_suite::{
    AttachedServer, ClientTls, CommandLine, LaunchError, LifespanMode, RunningServer, ServerExit,
    ServerLauncher, ServerOptions, ServerSettings, basis_of, check_server, server_checks,
    try_check_server,
};
