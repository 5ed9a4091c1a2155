//! The kind of a scope without its content.

use callgate::Scope;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeKind {
    Http,
    WebSocket,
    Lifespan,
    Unknown,
}

impl ScopeKind {
    pub(crate) fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Http(_) => Self::Http,
            Scope::WebSocket(_) => Self::WebSocket,
            Scope::Lifespan(_) => Self::Lifespan,
            _ => Self::Unknown,
        }
    }
}
