//! The application suite, run on applications that keep every rule and on applications that break one.

mod good;
mod misbehaving;
mod mutants;
mod options;
mod support;
