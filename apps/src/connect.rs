//! A client for the API of CloudBlue Connect, asynchronous throughout.
//!
//! The API consists of namespaces, collections, resources and actions, and the client has a type for
//! each:
//!
//! ```text
//! let templates = connect.collection("products").resource("PRD-1").collection("templates");
//! let template = templates.filter(Filter::eq("scope", "asset")).first().await?;
//! connect.collection("requests").resource("PR-1").action("approve").post(&json!({})).await?;
//! let count = connect.ns("subscriptions").collection("assets").all().count().await?;
//! ```

mod client;
mod error;
mod filter;
mod path;
mod resource;
mod search;

pub(crate) use self::client::{CONNECT, ConnectApi, ConnectClient};
pub(crate) use self::error::Error;
pub(crate) use self::filter::Filter;
pub(crate) use self::resource::{ConnectCollection, ConnectResource};
