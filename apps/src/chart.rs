//! A bar chart of active subscriptions: an extension of CloudBlue Connect, whose API has the data.

mod call;

use std::collections::HashSet;

use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use callgate::App;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Extensions, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::call::{CallContext, Installation, InstallationClient};
use crate::api::{self, ApiError, JsonBody, JsonObject};
use crate::connect::{CONNECT, ConnectApi, Filter};
use crate::stand_in::marketplace::INSTALLATION;
use crate::{Entry, Group, Settings, page};

/// The entry of `chart` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "chart",
    group: Group::Services,
    summary: "Charts the active subscriptions of a marketplace (CloudBlue Connect), also on a page.",
    try_it: &[
        "{http}",
        "curl -i {http}marketplaces",
        "curl -i -H 'x-connect-installation-id: EIN-1' {http}chart",
    ],
    service: Some(&CONNECT),
    source: include_str!("chart.rs"),
    app: |settings| CONNECT.require_client(chart(settings), settings),
};

const PAGE: &str = include_str!("chart/page.html");

/// The largest number of marketplaces of a chart.
const MAX_MARKETPLACES: usize = 100;

/// The number of requests for one chart that are in flight at a time.
const MAX_IN_FLIGHT: usize = 8;

/// Creates the extension for the API at [`Settings::connect_url`].
///
/// Connect's proxy names the caller in header fields: see `chart/call.rs`. The marketplaces of the
/// chart are in the settings of the caller's installation, which Connect holds. When Connect fails, the
/// response is a 502; when Connect is too slow, a 504; without a key for it, a 503. Without the URL, a
/// stand-in answers. The root is a page that draws the chart.
#[must_use]
pub fn chart(settings: &Settings) -> impl App + use<> {
    let page = render(settings);
    let routes = Router::new()
        .route(
            "/",
            get(async move |extensions: Extensions| {
                Html(page::with_links(&page, &extensions, "/"))
            }),
        )
        .route("/settings", get(retrieve_settings).post(save_settings))
        .route("/marketplaces", get(list_marketplaces))
        .route("/chart", get(chart_data))
        .with_state(ConnectApi::new(settings));
    api::app_with_root(routes)
}

/// Returns the page. Where a stand-in answers, the page says so, and names the installation as the proxy
/// of Connect would.
fn render(settings: &Settings) -> String {
    let notice = CONNECT.stand_in_notice(settings);
    let installation = notice.as_ref().map_or("", |_| INSTALLATION);
    let notice = notice.map(|notice| format!("<p>{}</p>", page::with_code(&notice)));
    page::compose(PAGE)
        .replace("{{notice}}", &notice.unwrap_or_default())
        .replace("{{installation}}", installation)
}

/// The settings of an installation.
#[derive(Debug, Default, Deserialize, Serialize)]
struct ChartSettings {
    #[serde(default)]
    marketplaces: Vec<Marketplace>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(expecting = "an object")]
struct Marketplace {
    id: String,
    name: String,
    description: String,
    #[serde(default)]
    icon: Option<String>,
}

impl ChartSettings {
    /// Returns the settings of an installation, which are empty before they are first saved.
    fn of(installation: Installation) -> Result<Self, ApiError> {
        let Some(settings) = installation.settings else {
            return Ok(Self::default());
        };
        match serde_json::from_value(settings) {
            Ok(JsonObject(settings)) => Ok(settings),
            Err(error) => {
                let message = format!("the settings of the installation cannot be read: {error}");
                Err(ApiError::new(StatusCode::BAD_GATEWAY, message))
            }
        }
    }

    /// Checks the settings that a client wants to save.
    fn check(&self) -> Result<(), ApiError> {
        let marketplaces = &self.marketplaces;
        let is_id = |id: &str| {
            let is_of_id = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
            (1..=64).contains(&id.len()) && id.bytes().all(is_of_id)
        };
        let mut seen = HashSet::new();
        let message = if marketplaces.len() > MAX_MARKETPLACES {
            format!("marketplaces: at most {MAX_MARKETPLACES} are allowed")
        } else if let Some(wrong) = marketplaces.iter().find(|it| !is_id(&it.id)) {
            format!("marketplaces: `{}` is not an ID", wrong.id)
        } else if let Some(again) = marketplaces.iter().find(|it| !seen.insert(&it.id)) {
            format!("marketplaces: {} is there more than once", again.id)
        } else {
            return Ok(());
        };
        Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message))
    }
}

async fn retrieve_settings(installation: Installation) -> Result<Json<ChartSettings>, ApiError> {
    ChartSettings::of(installation).map(Json)
}

async fn list_marketplaces(
    InstallationClient(client): InstallationClient,
) -> Result<Json<Vec<Marketplace>>, ApiError> {
    let mut resources = client.collection("marketplaces").all().results();
    let mut marketplaces = Vec::new();
    while let Some(marketplace) = resources.next().await? {
        marketplaces.push(marketplace);
    }
    Ok(Json(marketplaces))
}

async fn save_settings(
    context: CallContext,
    InstallationClient(client): InstallationClient,
    JsonBody(settings): JsonBody<ChartSettings>,
) -> Result<Json<ChartSettings>, ApiError> {
    settings.check()?;
    let installation = context.installation(&client)?;
    let answer = installation.update(&json!({ "settings": settings })).await;
    answer.map_err(|error| context.installation_error(error))?;
    tracing::info!("The settings of {context} were saved");
    Ok(Json(settings))
}

async fn chart_data(
    InstallationClient(client): InstallationClient,
    installation: Installation,
) -> Result<Json<Value>, ApiError> {
    let settings = ChartSettings::of(installation)?;
    let assets = client.ns("subscriptions").collection("assets");
    let count = |marketplace: &Marketplace| {
        let is_here = Filter::eq("marketplace.id", &marketplace.id);
        let active = assets.filter(is_here & Filter::eq("status", "active"));
        async move { active.count().await }
    };
    let counts: Vec<_> = settings.marketplaces.iter().map(count).collect();
    let counts: Vec<u64> = stream::iter(counts)
        .buffered(MAX_IN_FLIGHT)
        .try_collect()
        .await?;
    let labels: Vec<_> = settings.marketplaces.iter().map(|it| &it.id).collect();
    Ok(Json(json!({
        "type": "bar",
        "data": {
            "labels": labels,
            "datasets": [{ "label": "Subscriptions", "data": counts }],
        },
    })))
}
