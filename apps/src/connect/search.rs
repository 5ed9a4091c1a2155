//! Lists, a page at a time.

use std::collections::VecDeque;

use http::header::CONTENT_RANGE;
use http::{Method, Response};
use serde::de::DeserializeOwned;

use super::{Error, Filter, Location};
use crate::upstream;

/// How many resources a page has.
const PAGE: u64 = 100;

/// Resources of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    location: Location,
    filter: Option<Filter>,
}

impl Search {
    pub(super) fn new(location: Location, filter: Option<Filter>) -> Self {
        Self { location, filter }
    }

    /// How many there are. Nothing but that is sent.
    pub(crate) async fn count(&self) -> Result<u64, Error> {
        let page = self.page(0, 0).await?;
        total(&page).ok_or(Error::NoCount)
    }

    /// The first, if there is one.
    pub(crate) async fn first<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let page = self.page(1, 0).await?;
        let resources: Vec<T> = upstream::read(&page)?;
        Ok(resources.into_iter().next())
    }

    /// All, one after the other; each page is asked for when it is needed.
    pub(crate) fn resources<T>(self) -> Resources<T> {
        Resources {
            search: self,
            page: VecDeque::new(),
            offset: 0,
            is_last: false,
        }
    }

    async fn page(&self, limit: u64, offset: u64) -> Result<Response<Vec<u8>>, Error> {
        let (client, request) = self.location.request(Method::GET)?.build_split();
        let mut request = request.map_err(upstream::Error::from)?;
        let window = format!("limit={limit}&offset={offset}");
        let query = match &self.filter {
            Some(filter) => format!("{filter}&{window}"),
            None => window,
        };
        request.url_mut().set_query(Some(&query));
        let request = reqwest::RequestBuilder::from_parts(client, request);
        Ok(upstream::send(request).await?)
    }
}

/// The number behind the slash of `Content-Range: items 0-9/42`.
fn total(page: &Response<Vec<u8>>) -> Option<u64> {
    let range = page.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (_, total) = range.strip_prefix("items ")?.split_once('/')?;
    total.parse().ok()
}

/// The resources of a [`Search`], one after the other.
#[derive(Debug)]
pub(crate) struct Resources<T> {
    search: Search,
    page: VecDeque<T>,
    /// How many have been sent.
    offset: u64,
    is_last: bool,
}

impl<T: DeserializeOwned> Resources<T> {
    /// The next; `None` when there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        if self.page.is_empty() && !self.is_last {
            let page = self.search.page(PAGE, self.offset).await?;
            self.page = upstream::read(&page)?;
            let length = self.page.len() as u64;
            self.offset += length;
            let total = total(&page).ok_or(Error::NoCount)?;
            // One that is empty before the end would be asked for again and again.
            self.is_last = length == 0 || self.offset >= total;
        }
        Ok(self.page.pop_front())
    }
}
