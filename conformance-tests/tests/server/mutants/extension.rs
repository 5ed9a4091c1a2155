//! Servers that break the rules checked in `cases/extension.rs`.
