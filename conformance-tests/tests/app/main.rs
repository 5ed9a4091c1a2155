//! The application suite, tried on applications that keep every rule and on some that break one.

mod good;
mod misbehaving;
mod mutants;
mod support;
