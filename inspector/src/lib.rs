//! # Callgate: the inspector
//!
//! Shows every exchange of an application live: the scope, each event with its time and direction, how long a send
//! waited, the rules that were broken. What was seen can be saved as a recording, replayed to the application as it
//! runs now, and turned into a test.
//!
//! - [`Inspector`] keeps exchanges while somebody looks, within [`Bounds`].
//! - [`Inspected`] is the middleware: [`Inspector::inspect`].
//! - [`InspectorPage`] is the page, an application of its own. It shows exchanges to those who have its [`Token`].
//! - [`Watch`] is for a program that shows exchanges itself.
//! - [`recording`], [`curl`] and [`test_code`] write an exchange in other forms.
//! - `InspectFlags`, with the feature `flags`, adds `--inspect` to the command line of a server.

mod bounds;
mod exchange;
mod export;
#[cfg(feature = "flags")]
mod flags;
mod inspected;
mod inspector;
mod page;
mod replay;
mod shared;
mod shorten;
mod store;
mod subject;
mod watch;
mod weight;

pub use bounds::Bounds;
pub use exchange::{Entry, EntryKind, Exchange, ExchangeKind, Summary};
pub use export::{curl, recording, test_code};
#[cfg(feature = "flags")]
pub use flags::InspectFlags;
pub use inspected::Inspected;
pub use inspector::Inspector;
pub use page::{InspectorPage, Token};
pub use replay::{CannotReplay, Replayed};
pub use watch::{Changes, Watch};
