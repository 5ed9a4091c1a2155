//! What is measured: the applications of [`apps`], and [`bare_hyper`] to compare with.

pub mod apps;
pub mod bare_hyper;
