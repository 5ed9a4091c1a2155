//! Calls an application in process, in place of a server and without a socket.
//!
//! A [`ClientScript`] is the script of the client in one exchange. An [`AppSandbox`] is a runtime
//! that holds an application, lifespan included, and runs scripts against it. An [`Observation`] is
//! what happened in one exchange.

mod app_output;
mod app_sandbox;
mod call_driver;
mod channel;
mod client_script;
mod content_prefix;
mod difference;
mod live_bytes;
mod memory_budget;
mod observation;
mod process_ended;
mod process_memory;
mod stall_detector;
mod time_budget;

pub(crate) use app_output::{AppOutput, Comparison};
pub(crate) use app_sandbox::{Abandoned, AppSandbox, Startup};
pub(crate) use call_driver::observe_call;
pub(crate) use client_script::{ClientScript, ScriptedEvent, is_disconnect};
pub(crate) use difference::Difference;
pub(crate) use memory_budget::MemoryBudget;
pub(crate) use observation::Observation;
#[cfg(feature = "cli")]
pub(crate) use process_ended::ProcessEnded;
pub(crate) use time_budget::TimeBudget;
