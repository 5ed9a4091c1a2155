//! Servers that break the rules checked in `cases/core.rs`.
