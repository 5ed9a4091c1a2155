//! Start-up and shutdown.
//!
//! [`with_resource`] opens a resource at start-up, hands it to each exchange, and closes it at shutdown:
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::{lifespan, respond};
//!
//! #[derive(Clone)]
//! struct Database(&'static str);
//!
//! async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     let database = scope.state.get::<Database>();
//!     let database = database.ok_or_else(|| AppError::failed("no database"))?;
//!     respond::text(database.0).send(&sender).await
//! }
//!
//! async fn open() -> Result<Database, AppError> {
//!     Ok(Database("sqlite::memory:"))
//! }
//!
//! async fn close(database: Database) -> Result<(), AppError> {
//!     drop(database);
//!     Ok(())
//! }
//!
//! let app = lifespan::with_resource(app, open, close);
//! ```
//!
//! [`start`] drives the lifespan of an application from inside a program, as a server does.

mod resource;
mod start;

pub use self::resource::with_resource;
pub use self::start::start;
pub use callgate_drive::lifespan::RunningLifespan;
