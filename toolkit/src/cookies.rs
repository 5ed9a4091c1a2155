//! Cookies: read from a request, set by a response (RFC 6265).
//!
//! ```
//! use callgate::{AppError, Receiver, Scope, Sender};
//! use callgate_toolkit::cookies::{Cookie, SameSite};
//! use callgate_toolkit::{read, respond};
//!
//! async fn visits(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
//!     let scope = scope.into_http()?;
//!     if scope.path() == "/forget" {
//!         let forgotten = Cookie::build("visits").path("/");
//!         return respond::text("Forgotten\n").remove_cookie(forgotten).send(&sender).await;
//!     }
//!     let cookies = read::cookies(&scope);
//!     let visits = cookies.get("visits").and_then(|cookie| cookie.value().parse().ok());
//!     let visits = visits.unwrap_or(0_u32).saturating_add(1);
//!     let cookie = Cookie::build(("visits", visits.to_string()))
//!         .path("/")
//!         .http_only(true)
//!         .same_site(SameSite::Lax);
//!     respond::text(format!("Visit {visits}\n")).cookie(cookie).send(&sender).await
//! }
//! ```
//!
//! - Names and values are percent-encoded where they are set, and decoded where they are read: a value
//!   may have any character.
//! - Cookies that are malformed (no `=`, no name, not UTF-8 once decoded) are left out: they come from
//!   anywhere in the domain, and the application can neither prevent nor correct them.
//! - Of several cookies with one name the first counts: browsers send the cookie of the longer path
//!   first (RFC 6265, 5.4).
//! - The types are those of the crate `cookie`. Its features `signed` and `private` add jars that
//!   are signed and encrypted; [`Response::cookies`] sets the changes of a jar.

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};

use crate::response::Response;

pub use cookie::{Cookie, CookieBuilder, CookieJar, Expiration, SameSite, time};

/// Returns the cookies of a request with these header fields.
pub(crate) fn parse(headers: &HeaderMap) -> CookieJar {
    let mut jar = CookieJar::new();
    let fields = headers.get_all(COOKIE).iter();
    let cookies = fields
        .filter_map(|field| std::str::from_utf8(field.as_bytes()).ok())
        .flat_map(Cookie::split_parse_encoded)
        .flatten();
    for cookie in cookies {
        if jar.get(cookie.name()).is_none() {
            jar.add_original(cookie.into_owned());
        }
    }
    jar
}

impl<C> Response<C> {
    /// Sets a cookie: appends a `set-cookie` field.
    ///
    /// # Panics
    ///
    /// When the path or the domain of the cookie has a control character.
    pub fn cookie(self, cookie: impl Into<Cookie<'static>>) -> Self {
        self.header(SET_COOKIE, cookie.into().encoded().to_string())
    }

    /// Removes a cookie: appends a `set-cookie` field without a value, which has expired.
    ///
    /// A client removes a cookie only when its path and domain are those with which it was set.
    ///
    /// # Panics
    ///
    /// As [`cookie`](Self::cookie).
    pub fn remove_cookie(self, cookie: impl Into<Cookie<'static>>) -> Self {
        let mut cookie = cookie.into();
        cookie.make_removal();
        self.cookie(cookie)
    }

    /// Sets the cookies that were added to a jar since it was read, and removes those that were
    /// removed from it.
    ///
    /// # Panics
    ///
    /// As [`cookie`](Self::cookie).
    pub fn cookies(self, jar: &CookieJar) -> Self {
        jar.delta()
            .fold(self, |response, cookie| response.cookie(cookie.clone()))
    }
}
