//! Lists of resources, fetched page by page.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::CONTENT_RANGE;
use http::{Method, Response};
use serde::de::DeserializeOwned;

use super::error::Error;
use super::filter::Filter;
use super::path::ConnectPath;
use crate::upstream;

/// The number of resources of a page.
const PAGE: u64 = 100;

/// A search for resources of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    path: ConnectPath,
    filter: Option<Filter>,
}

impl Search {
    pub(super) fn new(path: ConnectPath, filter: Option<Filter>) -> Self {
        Self { path, filter }
    }

    /// Returns the number of resources that match. No resource is fetched.
    pub(crate) async fn count(&self) -> Result<u64, Error> {
        let page = self.page(0, 0).await?;
        total(&page).ok_or(Error::NoCount)
    }

    /// Fetches the first resource that matches, if there is one.
    pub(crate) async fn first<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let page = self.page(1, 0).await?;
        let resources: Vec<T> = upstream::read(&page)?;
        Ok(resources.into_iter().next())
    }

    /// Returns all resources that match. Each page is fetched when it is needed.
    pub(crate) fn results<T>(self) -> SearchResults<T> {
        SearchResults {
            search: self,
            page: VecDeque::new(),
            offset: 0,
            is_last: false,
        }
    }

    async fn page(&self, limit: u64, offset: u64) -> Result<Response<Bytes>, Error> {
        let window = format!("limit={limit}&offset={offset}");
        let query = match &self.filter {
            Some(filter) => format!("{filter}&{window}"),
            None => window,
        };
        let request = self.path.request(Method::GET)?;
        Ok(request.query(&query).send().await?)
    }
}

/// Returns the number behind the slash of `Content-Range: items 0-9/42`.
fn total(page: &Response<Bytes>) -> Option<u64> {
    let range = page.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (_, total) = range.strip_prefix("items ")?.split_once('/')?;
    total.parse().ok()
}

/// The resources that match a [`Search`], one after the other.
#[derive(Debug)]
pub(crate) struct SearchResults<T> {
    search: Search,
    page: VecDeque<T>,
    /// The number of resources that have been fetched.
    offset: u64,
    is_last: bool,
}

impl<T: DeserializeOwned> SearchResults<T> {
    /// Returns the next resource; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        if self.page.is_empty() && !self.is_last {
            let page = self.search.page(PAGE, self.offset).await?;
            self.page = upstream::read(&page)?;
            let length = self.page.len() as u64;
            self.offset += length;
            let total = total(&page).ok_or(Error::NoCount)?;
            // An empty page before the end of the list would be fetched again and again.
            self.is_last = length == 0 || self.offset >= total;
        }
        Ok(self.page.pop_front())
    }
}
