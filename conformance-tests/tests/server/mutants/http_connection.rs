//! Servers that break the rules checked in `cases/http_connection.rs`.
