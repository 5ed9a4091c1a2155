//! Requests of pages of other origins: the CORS protocol (Fetch standard, 3.3).

use std::fmt::Write as _;
use std::time::Duration;

use callgate::{App, AppError, HttpScope, IntoHeaderName, Receiver, Scope, SendEvent, Sender};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN,
};
use http::{HeaderMap, Method, StatusCode};

use super::origin::{Origin, OriginPattern};
use super::tap;
use crate::respond;
use crate::response::Response;
use crate::vary::add_vary;

/// Lets pages of other origins make requests and read the responses, by the CORS protocol.
///
/// Nothing is allowed by default. CORS does not replace a protection against cross-site request forgery:
/// browsers send some requests of other pages without a preflight request, such as a form that is posted,
/// and these reach the application whatever is allowed here.
///
/// - A preflight request (`OPTIONS` with `origin` and `access-control-request-method`) is answered
///   without calling the application: with 204, or with 403 when its origin is not allowed.
/// - Any other response gets `access-control-allow-origin` when the origin of its request is allowed, in
///   place of a value that the application has set.
/// - `vary: origin` is on each response whose fields depend on the origin.
/// - WebSockets pass: browsers do not apply CORS to them, see [`WebSocketOrigins`](super::WebSocketOrigins).
///
/// Responses that the server sends in place of a failed application have no CORS fields, unless
/// [`errors::handle`](crate::errors::handle) is around the application inside this middleware.
///
/// ```
/// use std::time::Duration;
/// use callgate::App;
/// use callgate_toolkit::middleware::Cors;
/// use http::Method;
///
/// fn api(app: impl App) -> impl App {
///     Cors::new(app)
///         .allow_origin("https://shop.example")
///         .allow_methods([Method::PUT, Method::DELETE])
///         .allow_headers(["content-type", "authorization"])
///         .allow_credentials()
///         .max_age(Duration::from_secs(600))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Cors<A> {
    app: A,
    allows_any_origin: bool,
    origins: Vec<OriginPattern>,
    methods: Option<HeaderValue>,
    headers: AllowedHeaders,
    exposed: Option<HeaderValue>,
    allows_credentials: bool,
    max_age: Option<HeaderValue>,
}

#[derive(Clone, Debug)]
enum AllowedHeaders {
    None,
    Any,
    List(HeaderValue),
}

impl<A> Cors<A> {
    /// Creates an application of `app` that allows nothing to pages of other origins.
    pub fn new(app: A) -> Self {
        Self {
            app,
            allows_any_origin: false,
            origins: Vec::new(),
            methods: None,
            headers: AllowedHeaders::None,
            exposed: None,
            allows_credentials: false,
            max_age: None,
        }
    }

    /// Allows pages of this origin, and of those allowed before: `https://shop.example`,
    /// `http://localhost:3000`, `https://*.example.com` for all subdomains, or `null` for pages without an
    /// origin, which any site can make.
    ///
    /// # Panics
    ///
    /// When the text is not an origin: it has a path or no scheme, for example.
    #[must_use]
    pub fn allow_origin(mut self, origin: &str) -> Self {
        self.origins.push(OriginPattern::new(origin));
        self
    }

    /// Allows pages of any origin: `access-control-allow-origin: *`.
    ///
    /// # Panics
    ///
    /// When credentials are allowed as well: any site could then act in the name of a user.
    #[must_use]
    pub fn allow_any_origin(mut self) -> Self {
        self.allows_any_origin = true;
        self.check()
    }

    /// Allows these methods, in place of those allowed before. GET, HEAD and POST need no permission.
    #[must_use]
    pub fn allow_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = list(methods.into_iter().map(|method| method.to_string()));
        self
    }

    /// Allows requests to have these fields, in place of those allowed before.
    ///
    /// # Panics
    ///
    /// When a name is not valid for a header field.
    #[must_use]
    pub fn allow_headers<N: IntoHeaderName>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.headers = match list(names.into_iter().map(name)) {
            Some(names) => AllowedHeaders::List(names),
            None => AllowedHeaders::None,
        };
        self
    }

    /// Allows requests to have any field.
    #[must_use]
    pub fn allow_any_header(mut self) -> Self {
        self.headers = AllowedHeaders::Any;
        self
    }

    /// Lets pages read these fields of responses, in place of those exposed before.
    ///
    /// # Panics
    ///
    /// When a name is not valid for a header field.
    #[must_use]
    pub fn expose_headers<N: IntoHeaderName>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.exposed = list(names.into_iter().map(name));
        self
    }

    /// Allows requests with credentials: cookies, client certificates, `authorization` of the browser.
    ///
    /// # Panics
    ///
    /// When [any origin](Self::allow_any_origin) is allowed as well: any site could then act in the name
    /// of a user.
    #[must_use]
    pub fn allow_credentials(mut self) -> Self {
        self.allows_credentials = true;
        self.check()
    }

    /// Sets how long browsers may remember the answer to a preflight request, in whole seconds. By
    /// default, browsers remember it for 5 seconds.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age.as_secs().into());
        self
    }

    fn check(self) -> Self {
        assert!(
            !(self.allows_any_origin && self.allows_credentials),
            "CORS with credentials needs a list of origins: use `allow_origin` for each, and not \
             `allow_any_origin`"
        );
        self
    }

    /// Returns the fields of a response to this request.
    fn fields(&self, request: &HttpScope) -> CorsFields {
        let origin = Origin::of(request).ok().flatten();
        let is_listed = |origin| self.origins.iter().any(|pattern| pattern.matches(origin));
        let allowed = match origin {
            _ if self.allows_any_origin => Some(HeaderValue::from_static("*")),
            Some(origin) if is_listed(origin) => request.headers.get(ORIGIN).cloned(),
            _ => None,
        };
        CorsFields {
            allowed,
            depends_on_origin: !self.allows_any_origin,
            allows_credentials: self.allows_credentials,
        }
    }

    /// Returns the response to a preflight request.
    fn preflight(&self, request: &HttpScope) -> Response {
        let fields = self.fields(request);
        let mut response = match fields.allowed {
            Some(_) => respond::status(StatusCode::NO_CONTENT),
            None => respond::text("Pages of this origin may not make requests here.\n")
                .status(StatusCode::FORBIDDEN),
        };
        let headers = &mut response.start.headers;
        if fields.allowed.is_some() {
            let requested = request.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
            let allowed_headers = match &self.headers {
                AllowedHeaders::None => None,
                AllowedHeaders::Any => requested,
                AllowedHeaders::List(names) => Some(names),
            };
            for (name, value) in [
                (ACCESS_CONTROL_ALLOW_METHODS, self.methods.as_ref()),
                (ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers),
                (ACCESS_CONTROL_MAX_AGE, self.max_age.as_ref()),
            ] {
                if let Some(value) = value {
                    headers.insert(name, value.clone());
                }
            }
        }
        fields.add_to(headers);
        add_vary(headers, "access-control-request-method");
        add_vary(headers, "access-control-request-headers");
        response
    }
}

/// Returns a name as it is sent.
fn name(name: impl IntoHeaderName) -> String {
    name.into_header_name().as_str().to_owned()
}

/// Returns a list of tokens as the value of a field; `None` for an empty list.
fn list(tokens: impl Iterator<Item = String>) -> Option<HeaderValue> {
    let mut list = String::new();
    for token in tokens {
        let separator = if list.is_empty() { "" } else { ", " };
        write!(list, "{separator}{token}").expect("a string takes everything");
    }
    (!list.is_empty()).then(|| list.parse().expect("tokens"))
}

/// The CORS fields of every response to one request.
struct CorsFields {
    /// The value of `access-control-allow-origin`; `None` when the origin is not allowed.
    allowed: Option<HeaderValue>,
    depends_on_origin: bool,
    allows_credentials: bool,
}

impl CorsFields {
    fn add_to(&self, headers: &mut HeaderMap) {
        if self.depends_on_origin {
            add_vary(headers, "origin");
        }
        headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        let Some(allowed) = &self.allowed else {
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
        if self.allows_credentials {
            let value = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, value);
        }
    }
}

impl<A: App> App for Cors<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let Scope::Http(request) = &scope else {
            return self.app.call(scope, receiver, sender).await;
        };
        let is_preflight = request.method == Method::OPTIONS
            && request.headers.contains_key(ORIGIN)
            && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if is_preflight {
            return self.preflight(request).send(&sender).await;
        }
        let fields = self.fields(request);
        let exposed = self.exposed.clone().filter(|_| fields.allowed.is_some());
        let (receiver, sender) = tap(receiver, sender, move |event: &mut SendEvent| {
            if let SendEvent::HttpResponseStart(start) = event {
                fields.add_to(&mut start.headers);
                if let Some(exposed) = &exposed {
                    let headers = &mut start.headers;
                    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
                }
            }
        });
        self.app.call(scope, receiver, sender).await
    }
}
