//! What handlers work with.

use std::sync::Arc;

use super::variables::Variables;
use crate::connect::{Api, Connect, Error};

/// What a handler has besides the event. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) api: Api,
    pub(super) variables: Arc<Variables>,
}

impl Context {
    /// A client for the API, asked with the key of the extension.
    ///
    /// # Errors
    ///
    /// [`Error::NotSet`] for want of a setting; [`Error::Key`].
    pub(super) fn connect(&self) -> Result<Connect, Error> {
        self.api.client(None)
    }
}
