//! All the other applications on one server, each mounted at `/NAME/`, and a page that lists them.

use callgate::{App, AppError, HttpScope, Receiver, Scope, Sender};
use callgate_inspector::Inspector;
use callgate_toolkit::errors::HttpError;
use callgate_toolkit::mount::Mounts;
use http::{Method, StatusCode};

use crate::channels::with_layer;
use crate::{Entry, Group, Settings, http_errors, method};

mod messages;
mod optional;
mod page;
mod source;

use optional::{Availability, OptionalApp};

/// The entry of `gallery` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "gallery",
    group: Group::Protocol,
    summary: "Serves all the others, each under its name, and a page to find them.",
    try_it: &["curl {http}"],
    service: None,
    source: include_str!("gallery.rs"),
    app: |settings| with_layer(Gallery::new(all(), settings), settings),
};

/// Serves several applications, each under its name, a page that presents them, and the source of each at
/// `/source/NAME`. For clients on the same machine, the page shows the messages between the server and each
/// application as they pass.
///
/// An application whose start-up fails is unavailable: the reason is logged, the page says so, its
/// requests are answered with 503, and the others are served.
///
/// The applications share the channel layer in the state of the gallery, which [`ENTRY`] opens.
#[derive(Debug)]
pub struct Gallery {
    exhibits: Vec<Exhibit>,
    inspector: Inspector,
    mounts: Mounts,
}

/// An application of the gallery.
#[derive(Clone, Debug)]
struct Exhibit {
    entry: Entry,
    availability: Availability,
    /// The sentences that say that a stand-in answers for its service.
    stand_in: Option<String>,
}

/// The path of the messages between the server and the applications.
const MESSAGES: &str = "/messages";

/// The path below which the source of each application is served.
const SOURCE: &str = "/source/";

/// Returns all applications but the gallery itself.
fn all() -> impl Iterator<Item = &'static Entry> {
    crate::all().iter().filter(|entry| entry.name != ENTRY.name)
}

impl Gallery {
    /// Creates a gallery of these applications, each with these settings.
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a Entry>, settings: &Settings) -> Self {
        // The relative links of a page at `/NAME`, without the slash, would lead beside it.
        let mounts = Mounts::new().redirect_to_slash();
        let mut gallery = Self {
            exhibits: Vec::new(),
            inspector: messages::inspector(),
            mounts: mounts.mount("", http_errors::not_found_app),
        };
        let settings = Settings {
            layer_is_given: true,
            ..settings.clone()
        };
        for &entry in entries {
            let app = OptionalApp::new(entry.name, (entry.app)(&settings));
            gallery.exhibits.push(Exhibit {
                entry,
                availability: app.availability(),
                stand_in: entry
                    .service
                    .and_then(|service| service.stand_in_notice(&settings)),
            });
            let prefix = format!("/{}", entry.name);
            let app = gallery.inspector.inspect(app);
            gallery.mounts = gallery.mounts.mount(&prefix, app);
        }
        gallery
    }

    async fn send_messages(
        &self,
        scope: &HttpScope,
        mut receiver: Receiver,
        sender: &Sender,
    ) -> Result<(), AppError> {
        if !messages::is_local(scope) {
            let message = "the messages are for clients on the same machine only";
            let error = HttpError::new(StatusCode::FORBIDDEN, message);
            return http_errors::respond(scope, sender, &error).await;
        }
        if scope.method != Method::GET {
            let error = http_errors::method_not_allowed("GET");
            return http_errors::respond(scope, sender, &error).await;
        }
        messages::send_feed(&self.inspector, &mut receiver, sender).await
    }
}

impl App for Gallery {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(scope) if scope.route_path() == "/" => {
                if !method::is_get_or_head(&scope.method) {
                    return method::not_allowed(&scope, &sender).await;
                }
                let render = || page::render(&scope, &self.exhibits);
                crate::page::send(&scope, &sender, render).await
            }
            Scope::Http(scope) if scope.route_path() == MESSAGES => {
                self.send_messages(&scope, receiver, &sender).await
            }
            Scope::Http(scope) if scope.route_path().starts_with(SOURCE) => {
                let path = scope.route_path();
                let name = path.strip_prefix(SOURCE).unwrap_or_default();
                source::send(&scope, &sender, name, &self.exhibits).await
            }
            scope => self.mounts.call(scope, receiver, sender).await,
        }
    }
}
