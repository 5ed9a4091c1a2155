//! Header fields by which browsers protect the users of a site.

use std::sync::Arc;

use callgate::{
    App, AppError, IntoHeaderName, IntoHeaderValue, Receiver, Scheme, Scope, SendEvent, Sender,
    header_methods,
};
use http::HeaderMap;
use http::header::{
    HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use super::tap;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// Adds header fields to each response by which browsers protect the users of a site. A field that the
/// application sets itself is left as it is.
///
/// | field | value | what it prevents |
/// | --- | --- | --- |
/// | `x-content-type-options` | `nosniff` | that a browser runs an upload as a script |
/// | `x-frame-options` | `DENY` | that another site shows a page in a frame and steals clicks |
/// | `referrer-policy` | `strict-origin-when-cross-origin` | that other sites learn paths and queries |
/// | `cross-origin-opener-policy` | `same-origin` | that a page of another site holds on to the window |
///
/// `set_header` changes these or adds others, such as `content-security-policy`, which depends on the site.
/// [`without`](Self::without) removes one.
///
/// ```
/// use callgate::App;
/// use callgate_toolkit::middleware::SecurityHeaders;
///
/// fn site(app: impl App) -> impl App {
///     SecurityHeaders::new(app)
///         .set_header("content-security-policy", "default-src 'self'")
///         .set_header("x-frame-options", "SAMEORIGIN")
///         .strict_transport_security("max-age=31536000; includeSubDomains")
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SecurityHeaders<A> {
    app: A,
    /// Shared with the exchanges.
    fields: Arc<HeaderMap>,
    strict_transport_security: Option<HeaderValue>,
}

impl<A> SecurityHeaders<A> {
    /// Creates an application of `app` whose responses have these fields.
    pub fn new(app: A) -> Self {
        let fields = [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "strict-origin-when-cross-origin"),
            (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        ];
        let fields = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self {
            app,
            fields: Arc::new(HeaderMap::from_iter(fields)),
            strict_transport_security: None,
        }
    }

    header_methods!(this => Arc::make_mut(&mut this.fields));

    /// Removes a field from those that are added.
    ///
    /// # Panics
    ///
    /// When the name is not valid for a header field.
    #[must_use]
    pub fn without(mut self, name: impl IntoHeaderName) -> Self {
        Arc::make_mut(&mut self.fields).remove(name.into_header_name());
        self
    }

    /// Adds `strict-transport-security` (RFC 6797) with this value to responses over TLS: browsers then
    /// connect to this host by TLS only. The field is not added by default, because a site cannot take it
    /// back before its `max-age` has passed.
    ///
    /// The field is not sent without TLS (RFC 6797, 7.2). Behind a proxy that ends the TLS, the server
    /// must learn the scheme from the proxy.
    ///
    /// # Panics
    ///
    /// When the value is not valid in a header field.
    #[must_use]
    #[track_caller]
    pub fn strict_transport_security(mut self, value: impl IntoHeaderValue) -> Self {
        let value = callgate::header_value(&STRICT_TRANSPORT_SECURITY, value);
        self.strict_transport_security = Some(value);
        self
    }
}

impl<A: App> App for SecurityHeaders<A> {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let Some(request) = scope.request() else {
            return self.app.call(scope, receiver, sender).await;
        };
        let fields = self.fields.clone();
        let is_secured = request.scheme == Scheme::Https;
        let transport = self
            .strict_transport_security
            .clone()
            .filter(|_| is_secured);
        let (receiver, sender) = tap(receiver, sender, move |event: &mut SendEvent| {
            let (SendEvent::HttpResponseStart(start) | SendEvent::DenialResponseStart(start)) =
                event
            else {
                return;
            };
            let headers = &mut start.headers;
            for name in fields.keys() {
                if !headers.contains_key(name) {
                    let values = fields.get_all(name).iter();
                    headers.extend(values.map(|value| (name.clone(), value.clone())));
                }
            }
            if let Some(value) = &transport {
                headers
                    .entry(STRICT_TRANSPORT_SECURITY)
                    .or_insert_with(|| value.clone());
            }
        });
        self.app.call(scope, receiver, sender).await
    }
}
