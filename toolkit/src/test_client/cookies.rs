//! Cookies that a client keeps between its requests.

use std::cmp::Reverse;
use std::fmt;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Uri};
use url::Url;

use super::jar::Jar;
use super::scope;
use super::settings::Settings;

/// The cookies of a test client. Returned by [`TestClient::cookies`](super::TestClient::cookies).
#[derive(Clone, Copy)]
pub struct Cookies<'a>(pub(super) &'a Settings);

impl Cookies<'_> {
    /// Returns the value of the cookie with this name, whatever its host. Of several cookies, the
    /// one with the longest path counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let store = self.jar().lock();
        let named = store
            .iter_unexpired()
            .filter(|cookie| cookie.name() == name);
        let found = named.min_by_key(|cookie| Reverse(cookie.path.len()))?;
        Some(found.value().to_owned())
    }

    /// Returns the field `cookie` that a request to this target is sent with, if there are cookies for
    /// the target.
    ///
    /// # Panics
    ///
    /// When a request cannot have this target.
    #[must_use]
    pub fn header<U>(&self, target: U) -> Option<HeaderValue>
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        self.jar().field(&self.url(target))
    }

    /// Sets a cookie as a response from this target does, with the syntax of `set-cookie`:
    /// `"theme=dark"`, `"theme=dark; Path=/; Secure"`. A cookie with `Max-Age=0` is removed.
    ///
    /// # Panics
    ///
    /// When the cookie cannot come from this target, or a request cannot have this target.
    pub fn set<U>(&self, target: U, cookie: &str)
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        HeaderValue::try_from(cookie).expect("a valid cookie");
        match self.jar().lock().parse(cookie, &self.url(target)) {
            Ok(_) | Err(cookie_store::CookieError::Expired) => {}
            Err(error) => panic!("the cookie `{cookie}` cannot be set: {error}"),
        }
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        self.jar().lock().clear();
    }

    fn jar(&self) -> &Jar {
        &self.0.jar
    }

    /// Returns the URL of a request to this target.
    fn url<U>(&self, target: U) -> Url
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        let settings = self.0;
        let mut request = Request::new(());
        *request.uri_mut() = target.try_into().expect("a valid target");
        settings.add_headers(request.headers_mut());
        let (parts, ()) = request.into_parts();
        let scope = scope::http(settings, &settings.root_path, parts, Some(0)).ok();
        let url = scope.and_then(|scope| scope::url(scope.scheme, &scope.headers, &scope.uri));
        url.expect("a target that a request can have")
    }
}

/// Shows each cookie as `set-cookie` has it.
impl fmt::Debug for Cookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jar().fmt(f)
    }
}

/// The URL of a request, and the jar for the cookies of its response.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// `None` when a URL cannot have the host of the request. The request has no cookies then.
    pub(super) url: Option<Url>,
    jar: Jar,
    is_kept: bool,
}

impl Origin {
    pub(super) fn new(settings: &Settings, url: Option<Url>) -> Self {
        Self {
            url,
            jar: settings.jar.clone(),
            is_kept: settings.keeps_cookies,
        }
    }

    /// Adds the cookies to a request, unless it sets cookies itself.
    pub(super) fn add_cookies(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(COOKIE)
            && let Some(url) = &self.url
            && let Some(field) = self.jar.field(url)
        {
            headers.insert(COOKIE, field);
        }
    }

    /// Keeps the cookies of a response (RFC 6265, 5.3). Cookies that cannot come from its URL are
    /// ignored.
    pub(super) fn keep_cookies(&self, headers: &HeaderMap) {
        let Some(url) = self.url.as_ref().filter(|_| self.is_kept) else {
            return;
        };
        let cookies = headers.get_all(SET_COOKIE).iter();
        for cookie in cookies.filter_map(|cookie| std::str::from_utf8(cookie.as_bytes()).ok()) {
            let _ = self.jar.lock().parse(cookie, url);
        }
    }
}
