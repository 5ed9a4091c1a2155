//! # Callgate: example applications
//!
//! One file each. [`hello`], [`echo`], [`counter`], [`chat`], [`stream`] and [`work`] are written with
//! scope, receiver and sender; [`time`], [`scope`] and [`events`] with the toolkit; [`items`],
//! [`dashboard`], [`customers`], [`brands`] and [`chart`] with axum, through the bridge;
//! [`brands_blocking`] with a function that blocks; and [`gallery`] serves them all. The `callgate`
//! command runs any of them: `callgate run echo`.
//!
//! To add one: write its file, with an `ENTRY`, and put that into the list of [`all`].

mod api;
pub mod brands;
pub mod brands_blocking;
pub mod chart;
pub mod chat;
mod connect;
pub mod counter;
pub mod customers;
pub mod dashboard;
mod database;
pub mod echo;
pub mod events;
mod failures;
pub mod gallery;
pub mod hello;
pub mod items;
mod method;
mod number;
mod page;
pub mod scope;
mod settings;
pub mod stream;
pub mod time;
mod upstream;
pub mod work;

use callgate::BoxApp;
pub use database::DatabaseUrl;
pub use settings::{Settings, Token};

/// What there is to know of an example application.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its name on the command line and its path in the gallery.
    pub name: &'static str,
    /// Where the gallery shows it.
    pub group: Group,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Commands to try it with; `{http}` and `{ws}` stand for where it is mounted, such as
    /// `http://localhost:8000/echo/`. One that is nothing but an address, such as `{http}room/`, is
    /// a page for a browser.
    pub try_it: &'static [&'static str],
    /// Makes it with these settings.
    pub app: fn(&Settings) -> BoxApp,
}

/// What an application is an example of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// The protocol itself.
    Protocol,
    /// What happens while one looks on: WebSockets and streams.
    Live,
    /// Databases, validated requests, work that takes a while.
    Data,
    /// Other services that are asked, or that ask.
    Services,
}

/// Every application, in the order in which one meets them.
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

/// The application of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    all().iter().find(|entry| entry.name == name)
}
