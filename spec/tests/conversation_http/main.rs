//! Tests of the events that an application may send in an HTTP exchange, rule by rule.

mod core;
mod feature;
mod http;
mod permitted;
mod support;
