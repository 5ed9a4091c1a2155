//! Servers that break the rules checked in `cases/websocket.rs`.
