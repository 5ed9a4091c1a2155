//! Cookies that a client keeps between its requests.

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use cookie_store::{Cookie, CookieStore};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Uri};
use url::Url;

use super::{Settings, TestClient, scope};

impl TestClient {
    /// The cookies that are kept, to look at and to set.
    ///
    /// Cookies are kept and sent back as RFC 6265 says: with the requests and the WebSocket
    /// handshakes that they are for by their host, path and scheme, until they expire by the
    /// system's clock. They are kept when the head of a response, or the answer to a handshake, is
    /// waited for. One that is `Secure` is sent with `https` only, to `localhost`, too. A request
    /// with a field `cookie` of its own, or of the [client's](Self::header), is sent with that
    /// alone.
    ///
    /// ```
    /// # use callgate::{AppError, Receiver, Scope, Sender};
    /// # use callgate_toolkit::respond;
    /// # use callgate_toolkit::test_client::TestClient;
    /// async fn login(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    ///     let response = respond::text("Welcome").header("set-cookie", "session=42; HttpOnly");
    ///     response.send(&sender).await?;
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = TestClient::new(login);
    /// client.get("/").send().await?;
    /// assert_eq!(client.cookies().get("session").as_deref(), Some("42"));
    ///
    /// client.cookies().set("/", "theme=dark; Path=/settings");
    /// let field = client.cookies().header("/settings/colours").unwrap();
    /// assert_eq!(field, "theme=dark; session=42");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cookies(&self) -> Cookies<'_> {
        Cookies(self)
    }

    /// Has the client keep no cookies of the application's; those that the test
    /// [sets](Cookies::set) are sent. Default: it keeps them.
    #[must_use]
    pub fn ignore_cookies(mut self) -> Self {
        self.settings.keeps_cookies = false;
        self
    }
}

/// The cookies of a [`TestClient`]: see [`TestClient::cookies`].
#[derive(Clone, Copy)]
pub struct Cookies<'a>(&'a TestClient);

impl Cookies<'_> {
    /// The value of the cookie with this name, wherever it is for; none when there is none. Of
    /// several, that with the longest path.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        let store = self.jar().lock();
        let named = store
            .iter_unexpired()
            .filter(|cookie| cookie.name() == name);
        let found = named.min_by_key(|cookie| Reverse(cookie.path.len()))?;
        Some(found.value().to_owned())
    }

    /// The field `cookie` that a request to this target is sent with; none when no cookie is for
    /// it.
    ///
    /// # Panics
    ///
    /// When the target is not one that a request can have.
    #[must_use]
    pub fn header<U>(&self, target: U) -> Option<HeaderValue>
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        self.jar().field(&self.url(target))
    }

    /// Sets a cookie as a response from this target does, with the syntax of `set-cookie`:
    /// `"theme=dark"`, `"theme=dark; Path=/; Secure"`. With `Max-Age=0` it is removed.
    ///
    /// # Panics
    ///
    /// When it is not a cookie that can come from this target, or the target is not one that a
    /// request can have.
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

    /// Removes all of them.
    pub fn clear(&self) {
        self.jar().lock().clear();
    }

    fn jar(&self) -> &Jar {
        &self.0.settings.jar
    }

    /// What a request to this target goes to.
    fn url<U>(&self, target: U) -> Url
    where
        U: TryInto<Uri>,
        U::Error: fmt::Debug,
    {
        let settings = &self.0.settings;
        let mut request = Request::new(());
        *request.uri_mut() = target.try_into().expect("a valid target");
        settings.add_headers(request.headers_mut());
        let (parts, ()) = request.into_parts();
        let scope = scope::http(settings, &settings.root_path, parts, Some(0)).ok();
        let url = scope.and_then(|scope| scope::url(scope.scheme, &scope.headers, &scope.uri));
        url.expect("a target that a request can have")
    }
}

/// The cookies, each as `set-cookie` has it.
impl fmt::Debug for Cookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jar().fmt(f)
    }
}

/// The store of a client's cookies, shared with the responses that are to come. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Jar(Arc<Mutex<CookieStore>>);

impl Jar {
    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.0.lock().unwrap()
    }

    /// The field `cookie` for this URL (RFC 6265, 5.4): longer paths first, and then the older.
    fn field(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.lock();
        let mut cookies = store.matches(url);
        // The store takes `localhost` for secure, whatever the scheme is.
        cookies.retain(|cookie| cookie.secure() != Some(true) || url.scheme() == "https");
        cookies.sort_by_key(|cookie| Reverse(cookie.path.len()));
        let pairs: Vec<_> = cookies.into_iter().map(pair).collect();
        let field = HeaderValue::try_from(pairs.join("; "));
        (!pairs.is_empty()).then(|| field.expect("cookies that came in a header field"))
    }
}

fn pair(cookie: &Cookie<'_>) -> String {
    let (name, value) = cookie.name_value();
    format!("{name}={value}")
}

impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.lock();
        let cookies = store.iter_unexpired().map(|cookie| (**cookie).to_string());
        f.debug_list().entries(cookies).finish()
    }
}

/// What a request goes to, and the jar for the cookies that come from there.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// None when the request names no host that a URL can have: then there are no cookies either.
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

    /// Adds the cookies to a request that has none of its own.
    pub(super) fn add_cookies(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(COOKIE)
            && let Some(url) = &self.url
            && let Some(field) = self.jar.field(url)
        {
            headers.insert(COOKIE, field);
        }
    }

    /// Keeps the cookies of an answer (RFC 6265, 5.3). Those that cannot come from there are
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
