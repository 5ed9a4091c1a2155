//! The suite for HTTP: a good server passes every check, and for each check there is a server that fails it.

mod good;
mod mutants;
mod proxy;
