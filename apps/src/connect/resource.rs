//! The parts of the API: namespaces, collections, resources and actions.

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::filter::Filter;
use super::path::ConnectPath;
use super::search::Search;

/// A group of collections, such as `devops`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectNamespace(pub(super) ConnectPath);

impl ConnectNamespace {
    /// Returns a collection of the namespace.
    pub(crate) fn collection(&self, name: &str) -> ConnectCollection {
        ConnectCollection(self.0.join(name))
    }
}

/// A list of resources, such as `requests`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectCollection(pub(super) ConnectPath);

impl ConnectCollection {
    /// Returns the resource with this ID.
    pub(crate) fn resource(&self, id: &str) -> ConnectResource {
        ConnectResource(self.0.join(id))
    }

    /// Returns a search for all resources of the collection.
    pub(crate) fn all(&self) -> Search {
        Search::new(self.0.clone(), None)
    }

    /// Returns a search for the resources that match this filter.
    pub(crate) fn filter(&self, filter: Filter) -> Search {
        Search::new(self.0.clone(), Some(filter))
    }

    /// Creates a resource.
    pub(crate) async fn create(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::POST, payload).await.map(drop)
    }
}

/// A resource: it has an ID.
#[derive(Clone, Debug)]
pub(crate) struct ConnectResource(ConnectPath);

impl ConnectResource {
    /// Fetches the resource.
    pub(crate) async fn get<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(self.0.request(Method::GET)?.fetch().await?)
    }

    /// Changes the fields of the resource that the payload has.
    pub(crate) async fn update(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::PUT, payload).await.map(drop)
    }

    /// Returns a collection below the resource.
    pub(crate) fn collection(&self, name: &str) -> ConnectCollection {
        ConnectCollection(self.0.join(name))
    }

    /// Returns an action of the resource.
    pub(crate) fn action(&self, name: &str) -> ConnectAction {
        ConnectAction(self.0.join(name))
    }
}

/// An action of a resource, such as `approve`.
#[derive(Clone, Debug)]
pub(crate) struct ConnectAction(ConnectPath);

impl ConnectAction {
    /// Performs the action.
    pub(crate) async fn post(&self, payload: &(impl Serialize + Sync)) -> Result<(), Error> {
        self.0.send(Method::POST, payload).await.map(drop)
    }
}
