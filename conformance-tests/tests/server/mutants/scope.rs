//! Servers that break the rules checked in `cases/scope.rs`.
