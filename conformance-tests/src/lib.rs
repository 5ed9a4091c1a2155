//! Checks any application, and any server, against the documents of Callgate.
//!
//! Every rule of the documents (`callgate::rule`) has at least one [`Check`] here. What the checks
//! of one application or one server found is a [`Report`].

mod check;
mod report;
mod transcript;

pub use check::{Check, Failure, Verdict};
pub use report::{Finding, Format, Report};
pub use transcript::{Direction, Entry, Transcript};
