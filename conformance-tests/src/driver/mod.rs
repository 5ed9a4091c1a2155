//! The other end of an application, in process: exchanges without a socket.
//!
//! A [`Plan`] says what a client does in one exchange. A [`House`] is a runtime in which an
//! application lives as it does on a server, lifespan included, and plays plans to it. What
//! happened is a [`Played`].

mod answer;
mod difference;
mod drive;
mod growth;
mod house;
mod ledger;
mod link;
mod patience;
mod plan;
mod played;

pub(crate) use answer::{Answer, Extent};
pub(crate) use difference::Difference;
pub(crate) use house::{Abandoned, House, StartUp};
pub(crate) use ledger::Ledger;
use ledger::resident_memory;
pub(crate) use link::Link;
pub(crate) use patience::{Patience, Waiting};
pub(crate) use plan::{Cue, Memory, Plan};
pub(crate) use played::{Broken, Outcome, Played};
