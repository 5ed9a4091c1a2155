//! # Callgate: the bridge to tower
//!
//! [`ServiceApp`] serves any tower service as an application: an axum `Router`, a service of tonic,
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
//!
//! [`AppService`] is any application as a tower service, inside a router of axum or served by
//! hyper. [`layer`] puts layers around an application. The `examples` folder has tower-http's
//! compression, CORS, tracing, timeouts and static files.
//!
//! A service learns of the server's shutdown by the extension [`Shutdown`]. An application inside a
//! service learns of it by [`AppService::with_shutdown`].

mod app_service;
mod background;
#[cfg(feature = "axum")]
mod extract;
mod layered;
mod path;
mod scope_info;
mod service_app;
mod shutdown;

pub use self::app_service::{AppService, ResponseFuture};
pub use self::background::Background;
#[cfg(feature = "axum")]
pub use self::extract::Resource;
pub use self::layered::layer;
pub use self::scope_info::ScopeInfo;
pub use self::service_app::{RequestBody, ServiceApp};
pub use self::shutdown::Shutdown;
pub use callgate_drive::websocket::PerMessageDeflate;
pub use callgate_drive::{Incomplete, ResponseBody, ShutdownSignal};

/// Any error.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
