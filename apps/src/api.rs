//! The base of the applications that are written with axum: each error is a JSON response and a
//! line in the log.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use callgate_drive::Escaped;
use callgate_toolkit::errors::HttpError;
use callgate_tower::{ScopeInfo, ServiceApp};
use http::StatusCode;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::log_text::with_causes;
use crate::{Service, Settings};

/// Creates an application of `routes`, whose root describes it.
pub(crate) fn app(routes: Router, index: Index) -> ServiceApp<Router> {
    app_with_root(routes.route("/", get(async move || Json(index))))
}

/// Creates an application of `routes` that calls `service`. Its root describes it, and says whether a stand-in
/// answers for the service.
pub(crate) fn app_of_service(
    routes: Router,
    index: Index,
    service: &Service,
    settings: &Settings,
) -> ServiceApp<Router> {
    #[derive(Clone, Serialize)]
    struct ServiceIndex {
        #[serde(flatten)]
        index: Index,
        #[serde(skip_serializing_if = "Option::is_none")]
        stand_in: Option<String>,
    }
    let index = ServiceIndex {
        index,
        stand_in: service.stand_in_notice(settings),
    };
    app_with_root(routes.route("/", get(async move || Json(index))))
}

/// Creates an application of `routes`, which include the root. Unknown paths and methods are answered with
/// JSON, and each error leaves a line in the log.
pub(crate) fn app_with_root(routes: Router) -> ServiceApp<Router> {
    let routes = routes
        .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            ApiError::new(status, "this path does not take this method")
        })
        .layer(middleware::from_fn(log_errors));
    ServiceApp::new(routes)
}

/// The description of an application, which its root answers with.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Index {
    /// The purpose of the application, in one sentence.
    pub(crate) summary: &'static str,
    /// The routes, such as `GET /items/{item_id}`.
    pub(crate) routes: &'static [&'static str],
}

/// An [`HttpError`] as an axum response: `{"error": "..."}`, as [`callgate_toolkit::errors`] writes
/// it.
#[derive(Debug)]
pub(crate) struct ApiError(HttpError);

impl ApiError {
    /// Creates an error with this status and this message for the client.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        HttpError::new(status, message).into()
    }

    /// Creates the 503 for a setting that is missing.
    pub(crate) fn not_set(setting: &str) -> Self {
        let message = format!("this is not set up: it needs {setting}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<HttpError> for ApiError {
    fn from(error: HttpError) -> Self {
        Self(error)
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let message = match &rejection {
            // The innermost cause names the field and the position.
            JsonRejection::JsonDataError(error) => innermost(error).to_string(),
            JsonRejection::JsonSyntaxError(error) => {
                format!("the content is not JSON: {}", innermost(error))
            }
            JsonRejection::MissingJsonContentType(_) => {
                "the `content-type` must be `application/json`".to_owned()
            }
            _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                "the content is larger than the limit".to_owned()
            }
            _ => rejection.body_text(),
        };
        Self::new(rejection.status(), message)
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        let PathRejection::FailedToDeserializePathParams(error) = rejection else {
            return Self::new(rejection.status(), rejection.body_text());
        };
        let message = match error.kind() {
            ErrorKind::ParseErrorAtKey {
                key,
                value,
                expected_type: "i64",
            } => format!("{key}: `{value}` is not an integer of 64 bits"),
            kind => kind.to_string(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
}

/// Returns the last cause of an error.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let Self(error) = self;
        let body = Json(Body {
            error: error.message(),
        });
        let mut response = (error.status(), error.headers().clone(), body).into_response();
        let reason = LogReason(with_causes(&error));
        response.extensions_mut().insert(reason);
        response
    }
}

/// The text of an error for the log. The client gets a part of it.
#[derive(Clone)]
struct LogReason(String);

async fn log_errors(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    // The log has the whole path, with the prefix at which the application is mounted.
    let info = request.extensions().get::<ScopeInfo>();
    let root_path = info.map_or("", |info| &info.root_path);
    let path = format!("{root_path}{}", request.uri().path());
    let response = next.run(request).await;
    if let Some(LogReason(reason)) = response.extensions().get() {
        let status = response.status().as_u16();
        let line = format!("{method} {path} {status}: {reason}");
        let line = Escaped(line);
        if response.status().is_server_error() {
            tracing::error!("{line}");
        } else {
            tracing::debug!("{line}");
        }
    }
    response
}

/// Extracts the content of a request, an object of JSON: [`axum::Json`] with its rejection as an
/// [`ApiError`].
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let Json(JsonObject(content)) = Json::from_request(request, state).await?;
        Ok(Self(content))
    }
}

/// Deserialises from a JSON object only. Without this, serde reads a struct from a list of its values
/// as well.
#[derive(Debug)]
pub(crate) struct JsonObject<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for JsonObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = JsonObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<JsonObject<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(JsonObject)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Extracts the parameters of the path: [`axum::extract::Path`] with its rejection as an [`ApiError`].
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct Path<T>(pub(crate) T);
