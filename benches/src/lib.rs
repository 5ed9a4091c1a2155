//! The subjects of the measurements: the application of [`app`], and the servers of [`peers`] to compare
//! it with.

pub mod app;
pub mod content;
pub mod peers;
