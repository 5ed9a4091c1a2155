//! The basis of a case: the sentences of standards because of which it counts against servers and applications of
//! ASGI.

use std::fmt;

use callgate::rule::Level;

/// The basis of a case for servers and applications that speak ASGI rather than Callgate. Every case counts for those
/// of Callgate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// ASGI or an RFC demands the behaviour that the case checks, by these sentences.
    Standard(&'static [Citation]),
    /// Only Callgate demands the behaviour that the case checks, for this reason.
    CallgateOnly(&'static str),
}

impl Basis {
    /// Returns how binding the standards are, by the weakest sentence: a subject that fails the case
    /// may have broken no other. None for a case that only Callgate demands.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        let Self::Standard(citations) = self else {
            return None;
        };
        Some(Citation::level_of(citations))
    }

    /// Returns the sentences of standards; none if only Callgate demands the behaviour.
    #[must_use]
    pub fn standards(&self) -> &'static [Citation] {
        match self {
            Self::Standard(citations) => citations,
            Self::CallgateOnly(_) => &[],
        }
    }
}

/// A sentence of a standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Citation {
    /// The document, with its version.
    pub document: Document,
    /// The number of the section or, where sections have none, its heading.
    pub section: &'static str,
    /// Whether the sentence demands or recommends.
    pub level: Level,
}

impl Citation {
    /// Returns the level of the weakest of these sentences.
    pub(crate) fn level_of(citations: &[Self]) -> Level {
        let is_must = citations.iter().all(|cited| cited.level == Level::Must);
        if is_must { Level::Must } else { Level::Should }
    }
}

/// A standard that servers and applications of ASGI keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Document {
    /// ASGI Specification, version 3.0.
    AsgiCore,
    /// ASGI's HTTP & WebSocket Message Format, version 2.5.
    AsgiHttp,
    /// ASGI's Lifespan Protocol, version 2.0.
    AsgiLifespan,
    /// ASGI's TLS Extension, version 0.2.
    AsgiTls,
    /// ASGI's page of extensions as of asgiref 3.12; the page has no version.
    AsgiExtensions,
    /// An RFC.
    Rfc(u16),
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsgiCore => f.write_str("ASGI Specification 3.0"),
            Self::AsgiHttp => f.write_str("ASGI HTTP & WebSocket 2.5"),
            Self::AsgiLifespan => f.write_str("ASGI Lifespan 2.0"),
            Self::AsgiTls => f.write_str("ASGI TLS Extension 0.2"),
            Self::AsgiExtensions => f.write_str("ASGI Extensions (asgiref 3.12)"),
            Self::Rfc(number) => write!(f, "RFC {number}"),
        }
    }
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.document {
            Document::Rfc(_) => write!(f, "{}, {}", self.document, self.section),
            _ => write!(f, "{}, \"{}\"", self.document, self.section),
        }
    }
}

/// Cites a sentence that demands something.
pub(crate) const fn demands(document: Document, section: &'static str) -> Citation {
    Citation {
        document,
        section,
        level: Level::Must,
    }
}

/// Cites a sentence that recommends something.
pub(crate) const fn recommends(document: Document, section: &'static str) -> Citation {
    Citation {
        document,
        section,
        level: Level::Should,
    }
}
