//! `Lint` between an application and a server, one of which breaks a rule.

mod events;
mod exchanges;
mod scopes;
mod sends;
mod support;
