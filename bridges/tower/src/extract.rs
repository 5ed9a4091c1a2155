//! Extractors for axum handlers.

use axum::extract::FromRequestParts;
use callgate::State;
use http::StatusCode;
use http::request::Parts;

use crate::{Background, Shutdown};

/// An axum extractor for a value that start-up put into the [`State`]. The handler gets a clone of
/// the value.
///
/// The response is 500 with the name of the type when the state has no such value.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use callgate::AppError;
/// use callgate_tower::{Resource, ServiceApp};
/// use callgate_toolkit::lifespan::with_resource;
///
/// #[derive(Clone)]
/// struct Pool(&'static str);
///
/// async fn open() -> Result<Pool, AppError> {
///     Ok(Pool("sqlite::memory:"))
/// }
///
/// async fn close(_: Pool) -> Result<(), AppError> {
///     Ok(())
/// }
///
/// async fn handler(Resource(pool): Resource<Pool>) -> &'static str {
///     pool.0
/// }
///
/// let router = Router::new().route("/", get(handler));
/// let app = with_resource(ServiceApp::new(router), open, close);
/// # fn check(_: impl callgate::App) {}
/// # check(app);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<T>(pub T);

impl<T, S> FromRequestParts<S> for Resource<T>
where
    T: Clone + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let state = parts.extensions.get::<State>();
        let value = state.and_then(State::get::<T>).cloned();
        value.map(Self).ok_or_else(|| {
            let name = std::any::type_name::<T>();
            let message = format!("start-up has put no `{name}` into the state\n");
            (StatusCode::INTERNAL_SERVER_ERROR, message)
        })
    }
}

/// The response is 500 when the request does not come through the bridge.
impl<S: Sync> FromRequestParts<S> for Background {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let background = parts.extensions.get().cloned();
        let message = "work after the response needs `callgate_tower::ServiceApp`\n";
        background.ok_or((StatusCode::INTERNAL_SERVER_ERROR, message))
    }
}

/// On a server that does not offer `http.shutdown`, the shutdown never begins.
impl<S: Sync> FromRequestParts<S> for Shutdown {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
