//! The subjects of the measurements: the applications of [`apps`], and [`bare_hyper`] to compare
//! them with.

pub mod apps;
pub mod bare_hyper;
