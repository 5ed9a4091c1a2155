//! The rules of the protocol, each with a stable ID.
//!
//! A rule is one sentence that can be tested. It is listed once, here, and stands word for word in
//! the documents; failed sends, log lines and the conformance suite name it by its ID.

mod core;
mod feature;
mod http;
mod lifespan;
mod scope;
mod websocket;

use std::fmt;

pub use self::core::*;
pub use self::feature::*;
pub use self::http::*;
pub use self::lifespan::*;
pub use self::scope::*;
pub use self::websocket::*;

/// Who has to keep a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The application, or a middleware on its behalf.
    Application,
    /// The server, or whatever stands in for it: a test client, a middleware.
    Server,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Application => "application",
            Self::Server => "server",
        })
    }
}

/// How binding a rule is, in the sense of RFC 2119.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Without exception.
    Must,
    /// Unless there is a good reason not to.
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

/// One rule of the protocol.
#[derive(Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rule {
    /// Its stable ID: a chapter and a number, such as `HTTP-12`.
    pub id: &'static str,
    /// Who has to keep it.
    pub role: Role,
    /// How binding it is.
    pub level: Level,
    /// What it says.
    pub sentence: &'static str,
}

impl Rule {
    /// The document in which the rule stands: a file of `spec/docs`.
    #[must_use]
    pub fn document(&self) -> &'static str {
        match self.id.split('-').next() {
            Some("CORE" | "SCOPE") => "overview.md",
            Some("HTTP") => "http.md",
            Some("WS") => "websocket.md",
            Some("LIFE") => "lifespan.md",
            Some("TLS") => "tls.md",
            _ => "features.md",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.sentence)
    }
}

/// Defines the rules of one chapter: a constant for each, and the list of all.
macro_rules! chapter {
    ($list:ident: $($(#[$meta:meta])* $name:ident = $id:literal $role:ident $level:ident $sentence:literal;)+) => {
        $(
            #[doc = concat!("`", $id, "`: ", $sentence)]
            pub const $name: &$crate::rule::Rule = &$crate::rule::Rule {
                id: $id,
                role: $crate::rule::Role::$role,
                level: $crate::rule::Level::$level,
                sentence: $sentence,
            };
        )+

        pub(super) const $list: &[&$crate::rule::Rule] = &[$($name),+];
    };
}
use chapter;

/// Every rule, in the order of the documents.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [CORE, SCOPE, HTTP, WEBSOCKET, LIFESPAN, FEATURE]
        .into_iter()
        .flatten()
        .copied()
}

/// The rule with this ID.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}
