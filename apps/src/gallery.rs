//! All the other applications under one roof, each mounted at `/NAME/`, and a page to find them.

use callgate::{App, AppError, BoxApp, HttpScope, Receiver, Scope, Sender};
use callgate_toolkit::mount::Mounts;

use crate::{Entry, Group, Settings, failures, method};

mod page;

/// What the command line knows of it.
pub const ENTRY: Entry = Entry {
    name: "gallery",
    group: Group::Protocol,
    summary: "Serves all the others, each under its name, and a page to find them.",
    try_it: &["curl {http}"],
    app: |settings| BoxApp::new(Gallery::new(all(), settings)),
};

/// Serves a page that presents some applications, and each of them under its name.
#[derive(Debug)]
pub struct Gallery {
    entries: Vec<Entry>,
    mounts: Mounts,
}

/// All applications but the gallery itself.
fn all() -> impl Iterator<Item = &'static Entry> {
    crate::all().iter().filter(|entry| entry.name != ENTRY.name)
}

impl Gallery {
    /// The gallery of these applications, made with these settings.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a Entry>, settings: &Settings) -> Self {
        let entries: Vec<Entry> = entries.into_iter().copied().collect();
        // The links of a page at `/NAME` would lead astray.
        let mounts = Mounts::new().redirect_to_slash();
        let mounts = mounts.mount("", failures::nowhere);
        let mounts = entries.iter().fold(mounts, |mounts, entry| {
            mounts.mount(&format!("/{}", entry.name), (entry.app)(settings))
        });
        Self { entries, mounts }
    }

    async fn present(&self, scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
        if !method::is_read(&scope.method) {
            return method::not_allowed(scope, sender).await;
        }
        crate::page::show(scope, sender, || page::render(scope, &self.entries)).await
    }
}

impl App for Gallery {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) if scope.route_path() == "/" => self.present(&scope, &sender).await,
            scope => self.mounts.call(scope, receiver, sender).await,
        }
    }
}
