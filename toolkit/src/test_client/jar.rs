//! The store of a client's cookies.

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use cookie_store::{Cookie, CookieStore};
use http::HeaderValue;
use url::Url;

/// The store of a client's cookies, shared with the responses that are to come. Clones are the same
/// store.
#[derive(Clone, Default)]
pub(super) struct Jar(Arc<Mutex<CookieStore>>);

impl Jar {
    pub(super) fn lock(&self) -> MutexGuard<'_, CookieStore> {
        self.0.lock().unwrap()
    }

    /// Returns the field `cookie` for a URL (RFC 6265, 5.4): longer paths first, and then older cookies.
    pub(super) fn field(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.lock();
        let mut cookies = store.matches(url);
        // The store counts `localhost` as secure, whatever the scheme is.
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

/// Shows each cookie as `set-cookie` has it.
impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.lock();
        let cookies = store.iter_unexpired().map(|cookie| (**cookie).to_string());
        f.debug_list().entries(cookies).finish()
    }
}
