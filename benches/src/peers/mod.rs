//! The servers that Callgate is compared with, each as small as its library allows.
//!
//! `asgi_groups.py` has the peers of the channel layer, in Python.
//!
//! They have their libraries' defaults: no limits and no time-outs but those of the library.

pub mod actix;
pub mod axum;
pub mod hyper;
pub mod tungstenite;
