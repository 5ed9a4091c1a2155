//! The documents of Callgate: guides, [recipes] that are compiled and tested, and what each folder of the
//! repository says about itself.
//!
//! The search finds the items of all libraries, and these pages by their headings.
//!
//! | for | read |
//! | --- | --- |
//! | a first application, and its test | [The README](readme) |
//! | the protocol and its rules | [Overview](callgate::documents::overview), and the documents beside it |
//! | an application in Starlette, FastAPI or ASGI | [Porting from ASGI](guides::porting_from_asgi), [ASGI key by key](callgate::documents::coming_from_asgi) |
//! | an application in axum | [Coming from axum](guides::coming_from_axum) |
//! | how something is done | [Recipes](guides::recipes) |
//! | the way to a service on the internet | [Deploying](guides::deploy), [Security](security), [what holds under load and faults](server::reliability) |
//! | WebSockets on many machines | [Scale](guides::scale), [the channel layer](channels::overview) |
//! | how a request goes through the server | [Architecture](architecture) |
//!
//! | library | what it is |
//! | --- | --- |
//! | [`callgate`](../callgate/index.html) | the protocol |
//! | [`callgate_server`](../callgate_server/index.html) | the reference server: [its README](server::overview), [settings](server::settings), [metrics](server::metrics) |
//! | [`callgate_toolkit`](../callgate_toolkit/index.html) | for authors of applications: [its README](toolkit) |
//! | [`callgate_tower`](../callgate_tower/index.html) | tower services as applications, and the reverse: [its README](bridges::tower) |
//! | [`callgate_channels`](../callgate_channels/index.html) | groups, presence and direct messages: [its README](channels::overview), [rules](channels::rules) |
//! | [`callgate_conformance`](../callgate_conformance/index.html) | the checks of applications and servers: [its README](conformance::overview), [results](conformance::results) |
//! | [`callgate_http1`](../callgate_http1/index.html) | HTTP/1.1 without I/O: [its README](http1) |
//! | [`callgate_drive`](../callgate_drive/index.html) | drives an application in place: [its README](drive) |

pub mod recipes;

// A page for each document, with links between pages in place of links between files: see `build.rs`.
include!(concat!(env!("OUT_DIR"), "/pages.rs"));
