//! # Callgate: example applications
//!
//! Each application is one file. [`hello`], [`echo`], [`counter`], [`chat`], [`stream`] and [`work`]
//! are written with scope, receiver and sender; [`time`], [`scope`] and [`events`] with the toolkit;
//! [`items`], [`dashboard`], [`customers`], [`brands`] and [`chart`] with axum, through the bridge;
//! [`brands_blocking`] with a function that blocks. [`gallery`] serves them all. The `callgate` command
//! runs any of them: `callgate run echo`.
//!
//! To add an application: write its file with an `ENTRY`, and add the entry to the list of [`all`].

mod api;
pub mod brands;
pub mod brands_blocking;
mod channels;
pub mod chart;
pub mod chat;
mod connect;
pub mod counter;
pub mod customers;
pub mod dashboard;
mod database;
pub mod echo;
pub mod events;
pub mod gallery;
pub mod hello;
mod http_errors;
pub mod items;
mod log_text;
mod method;
mod number;
mod page;
pub mod scope;
mod service;
mod settings;
mod stand_in;
pub mod stream;
pub mod time;
mod upstream;
pub mod work;

use callgate::BoxApp;
pub use channels::ChannelsUrl;
pub use database::DatabaseUrl;
pub use service::Service;
pub use settings::{Settings, Token};

/// An example application, as the command line and the gallery know it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The name on the command line, and the path in the gallery.
    pub name: &'static str,
    /// The section of the gallery's page.
    pub group: Group,
    /// The purpose of the application, in one sentence.
    pub summary: &'static str,
    /// Commands that show what the application does. `{http}` and `{ws}` stand for its address, such
    /// as `http://localhost:8000/echo/`. A command that is only an address, such as `{http}room/`, is a
    /// page for a browser.
    pub try_it: &'static [&'static str],
    /// The service outside of the program that the application calls, if it calls one.
    pub service: Option<&'static Service>,
    /// The source of the application: the file of its entry.
    pub source: &'static str,
    /// Creates the application with these settings.
    pub app: fn(&Settings) -> BoxApp,
}

/// The kind of example that an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// The protocol itself.
    Protocol,
    /// WebSockets and streams.
    Live,
    /// Databases, validated requests and long computations.
    Data,
    /// Other services, as clients and as servers.
    Services,
}

/// Returns every application, in the order of the documentation.
#[must_use]
pub fn all() -> &'static [Entry] {
    &[
        gallery::ENTRY,
        hello::ENTRY,
        echo::ENTRY,
        time::ENTRY,
        counter::ENTRY,
        chat::ENTRY,
        scope::ENTRY,
        items::ENTRY,
        dashboard::ENTRY,
        customers::ENTRY,
        brands::ENTRY,
        brands_blocking::ENTRY,
        stream::ENTRY,
        work::ENTRY,
        chart::ENTRY,
        events::ENTRY,
    ]
}

/// Returns the application of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.name == name)
}
