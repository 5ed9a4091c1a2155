//! # Callgate: the bridge to tower
//!
//! Any tower service as an application, by [`ServiceApp`]: an axum `Router`, a service of tonic,
//! layers of tower-http around any of them.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//! use callgate_tower::ServiceApp;
//!
//! let router = Router::new().route("/", get(async || "Hello, world!\n"));
//! let app = ServiceApp::new(router);
//! # fn check(_: impl callgate::App) {}
//! # check(app);
//! ```

#[cfg(feature = "axum")]
mod axum;
mod frames;
mod scope_info;
mod service_app;

#[cfg(feature = "axum")]
pub use self::axum::Resource;
pub use self::scope_info::ScopeInfo;
pub use self::service_app::{RequestBody, ServiceApp};

/// The examples of the README are compiled and run as doctests.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
mod readme {}
