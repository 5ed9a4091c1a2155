//! The context of handlers.

use std::sync::Arc;

use super::variables::Variables;
use crate::connect::{ConnectApi, ConnectClient, Error};

/// The access of a handler to Connect and to the variables. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) api: ConnectApi,
    pub(super) variables: Arc<Variables>,
}

impl Context {
    /// Returns a client for the API that sends the key of the extension.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotSet`] if a setting is missing, and [`Error::Key`].
    pub(super) fn connect(&self) -> Result<ConnectClient, Error> {
        self.api.client(None)
    }
}
