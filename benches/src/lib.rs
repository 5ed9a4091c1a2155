//! The subjects of the measurements: the application of [`app`], and the servers of [`peers`] to compare
//! it with; the application of [`group`] and the messages of [`fan_out`], for the channel layer.

pub mod app;
pub mod content;
pub mod fan_out;
pub mod group;
pub mod peers;
