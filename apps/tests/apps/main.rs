//! Each application in process, without a socket.

mod counter;
mod echo;
mod gallery;
mod hello;
mod scope;
mod support;
mod time;
