//! Servers that break the rules checked in `cases/lifespan.rs`.
