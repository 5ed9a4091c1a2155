//! Figures of an upstream service: one of its items passed on, and three of its lists asked for at
//! once and answered as one.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use callgate::{App, BoxApp};
use http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::{self, Failure, Index, Path};
use crate::upstream::{Error, Upstream};
use crate::{Entry, Group, Settings};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "dashboard",
    group: Group::Services,
    summary: "Asks an upstream service for one thing, or for three at once. Needs UPSTREAM_URL.",
    try_it: &["curl -i {http}dashboard", "curl -i {http}proxy/42"],
    app: |settings| BoxApp::new(dashboard(settings)),
};

const INDEX: Index = Index {
    summary: ENTRY.summary,
    routes: &["GET /proxy/{item_id}", "GET /dashboard"],
};

/// The service at [`Settings::upstream_url`] behind two routes.
///
/// Where that service fails, the answer is 502, and 504 where it is too slow. Without the setting it
/// is 503.
#[must_use]
pub fn dashboard(settings: &Settings) -> impl App + use<> {
    let upstream = settings.upstream_url.clone().map(|url| {
        let upstream = Upstream::new(url);
        match settings.upstream_timeout {
            Some(timeout) => upstream.timeout(timeout),
            None => upstream,
        }
    });
    let routes = Router::new()
        .route("/proxy/{item_id}", get(proxy))
        .route("/dashboard", get(overview))
        .route("/dashboard/", get(overview))
        .with_state(Service(upstream));
    api::app(routes, INDEX)
}

/// JSON as it came, so that it leaves as it came: no number loses a digit.
type AsItCame = Box<RawValue>;

#[derive(Clone)]
struct Service(Option<Upstream>);

impl Service {
    fn upstream(&self) -> Result<&Upstream, Failure> {
        let setting = "--upstream-url or UPSTREAM_URL";
        self.0.as_ref().ok_or_else(|| Failure::not_set(setting))
    }

    /// One of its lists.
    async fn list(&self, name: &'static str) -> Result<AsItCame, Failure> {
        let answer = self.upstream()?.get(&[name]).await;
        answer.map_err(|error| error.of(&format!("the upstream service's {name}")))
    }
}

async fn proxy(
    State(service): State<Service>,
    Path(item_id): Path<String>,
) -> Result<Json<AsItCame>, Failure> {
    let answer = service.upstream()?.get(&["items", &item_id]).await;
    let is_missing = match &answer {
        Err(Error::Refused { status, .. }) => *status == StatusCode::NOT_FOUND,
        Err(Error::NoSuchPath) => true,
        _ => false,
    };
    if is_missing {
        let message = format!("there is no item `{item_id}`");
        return Err(Failure::new(StatusCode::NOT_FOUND, message));
    }
    answer
        .map(Json)
        .map_err(|error| error.of("the upstream service"))
}

#[derive(Serialize)]
struct Overview {
    users: AsItCame,
    products: AsItCame,
    sales: AsItCame,
}

/// Takes as long as the slowest of the three. Once one has failed there is nothing to wait for: the
/// others are given up.
async fn overview(State(service): State<Service>) -> Result<Json<Overview>, Failure> {
    let (users, products, sales) = tokio::try_join!(
        service.list("users"),
        service.list("products"),
        service.list("sales"),
    )?;
    Ok(Json(Overview {
        users,
        products,
        sales,
    }))
}
