//! The documents of Callgate: guides, [recipes] that are compiled and tested, and what each folder of the
//! repository says about itself.
//!
//! The search at the top finds items of all libraries, and these pages by name.
//!
//! | for | read |
//! | --- | --- |
//! | a first application, and its test | [readme] |
//! | the protocol and its rules | [`callgate::documents::overview`] |
//! | an application in Starlette, FastAPI or ASGI | [guides::porting_from_asgi], [`callgate::documents::coming_from_asgi`] |
//! | an application in axum | [guides::coming_from_axum] |
//! | how something is done | [guides::recipes] |
//! | the way to a service on the internet | [guides::deploy], [security], [server::reliability] |
//! | WebSockets on many machines | [guides::scale], [channels::overview] |
//! | how a request goes through the server | [architecture] |
//!
//! | library | what it is |
//! | --- | --- |
//! | [`callgate`] | the protocol |
//! | [`callgate_server`](../callgate_server/index.html) | the reference server: [server::overview], [server::settings] |
//! | [`callgate_toolkit`] | for authors of applications: [toolkit] |
//! | [`callgate_tower`] | tower services as applications, and the reverse: [bridges::tower] |
//! | [`callgate_channels`](../callgate_channels/index.html) | groups, presence and direct messages: [channels::overview] |
//! | [`callgate_conformance`](../callgate_conformance/index.html) | the checks of applications and servers: [conformance::overview] |
//! | [`callgate_http1`](../callgate_http1/index.html) | HTTP/1.1 without I/O |
//! | [`callgate_drive`](../callgate_drive/index.html) | drives an application in place |

pub mod recipes;

// A page for each document, with links between pages in place of links between files: see `build.rs`.
include!(concat!(env!("OUT_DIR"), "/pages.rs"));
