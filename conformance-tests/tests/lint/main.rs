//! `Lint`, between applications and servers of which one misbehaves.

mod events;
mod exchanges;
mod scopes;
mod sends;
mod support;
