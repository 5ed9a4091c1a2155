//! Checks any application, and any server, against the documents of Callgate.
//!
//! Every rule of the documents (`callgate::rule`) has at least one [`Check`] here. What the checks
//! of one application or one server found is a [`Report`].
//!
//! - [`app_tests!`] tests an application in a line; [`check_app`] does so in a call.
//! - [`Lint`] checks every message while an application is served.
//! - [`Recorder`] writes exchanges down, and [`replay`] plays them again.
//! - [`Model`] is the state machine behind all of them.

mod app_suite;
mod app_tests;
mod check;
#[cfg(feature = "cli")]
pub mod cli;
mod driver;
mod lint;
mod model;
mod probe;
mod record;
mod recording;
mod replay;
mod report;
mod server_suite;

pub use app_suite::{AppOptions, AppSuite, app_checks, app_rules, check_app, scope_probe};
pub use check::{Check, Failure, Verdict};
pub use lint::{Complaint, Lint, ViolationCount};
pub use model::{Attempt, Model, scope_violations};
pub use probe::{
    PROBE_FIELD, PROBE_VARIABLE, Probe, ProbeCallEnd, ProbeCommand, ProbeMessage, SendOutcome, Step,
};
pub use record::Recorder;
pub use replay::{Replay, ReplayDifference, ReplayError, ReplayOptions, replay};
pub use report::{Finding, Format, Report};
pub use server_suite::{
    AttachedServer, Basis, Citation, CommandLine, Document, LaunchError, LifespanMode,
    RunningServer, ServerExit, ServerLauncher, ServerOptions, ServerSettings, basis_of,
    check_server, server_checks, try_check_server,
};

/// Compiles the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
