//! The rules of the protocol, each with a stable ID.
//!
//! A rule is one sentence that can be tested. This module lists each rule once, and the documents
//! contain each sentence word for word. Failed sends, log lines and the conformance suite name a
//! rule by its ID.

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

/// The side that must keep a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The application, or a middleware in the role of an application.
    Application,
    /// The server, or a component in the role of a server, such as a test client or a middleware.
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

/// The level of a rule, as defined in RFC 2119.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The rule has no exceptions.
    Must,
    /// The rule allows exceptions for a good reason.
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
    /// The stable ID: a chapter and a number, such as `HTTP-12`.
    pub id: &'static str,
    /// The side that must keep the rule.
    pub role: Role,
    /// The level of the rule.
    pub level: Level,
    /// The sentence, as in the documents.
    pub sentence: &'static str,
}

impl Rule {
    /// Returns the name of the document that contains the rule: a file of `spec/docs`.
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

    /// Returns the address of the rule in the published [documents](crate::documents) of this version.
    ///
    /// ```
    /// use callgate::rule;
    ///
    /// let address = rule::MALFORMED_REQUEST.document_url();
    /// assert!(address.starts_with("https://docs.rs/callgate/"));
    /// assert!(address.ends_with("/callgate/documents/http/index.html#HTTP-40"));
    /// ```
    #[must_use]
    pub fn document_url(&self) -> String {
        let document = self.document().trim_end_matches(".md");
        let documents = concat!(
            "https://docs.rs/callgate/",
            env!("CARGO_PKG_VERSION"),
            "/callgate/documents"
        );
        format!("{documents}/{document}/index.html#{}", self.id)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.sentence)
    }
}

/// Defines the rules of one chapter: a constant for each rule, and the list of all rules of the
/// chapter.
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

/// Returns every rule, in the order of the documents.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [CORE, SCOPE, HTTP, WEBSOCKET, LIFESPAN, FEATURE]
        .into_iter()
        .flatten()
        .copied()
}

/// Returns the rule with this ID; `None` if there is no such rule.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}
