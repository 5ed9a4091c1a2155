//! What Callgate is measured against: [`bare_hyper`].

pub mod bare_hyper;
