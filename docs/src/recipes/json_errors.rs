//! JSON errors: an error is a value, and one application around the others makes a response of it.

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::errors::{self, HttpError};
use callgate_toolkit::{read, respond};
use http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order {
    article: u32,
    count: u32,
}

#[derive(Serialize)]
struct Confirmation {
    total: u32,
}

/// The errors of the shop, which knows nothing of HTTP.
#[derive(Debug)]
enum ShopError {
    NoArticle(u32),
    SoldOut,
}

impl From<ShopError> for HttpError {
    fn from(error: ShopError) -> Self {
        match error {
            ShopError::NoArticle(number) => Self::new(
                StatusCode::NOT_FOUND,
                format!("there is no article {number}"),
            ),
            ShopError::SoldOut => Self::new(StatusCode::CONFLICT, "the article is sold out"),
        }
    }
}

fn buy(order: &Order) -> Result<Confirmation, ShopError> {
    match (order.article, order.count) {
        (1, count @ 0..=10) => Ok(Confirmation { total: 5 * count }),
        (1, _) => Err(ShopError::SoldOut),
        (number, _) => Err(ShopError::NoArticle(number)),
    }
}

async fn order(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    // Content that is not JSON is 400, 413, 415 or 422.
    let order = read::json(&scope, &mut receiver, 64 * 1024).await?;
    let confirmation = buy(&order).map_err(HttpError::from)?;
    respond::json(&confirmation)?.send(&sender).await
}

/// The application, whose errors get a response of JSON.
pub fn app() -> impl App {
    errors::handle(order)
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    async fn order(json: &'static str) -> (u16, String) {
        let client = TestClient::new(super::app());
        let request = client
            .post("/")
            .header("content-type", "application/json")
            .body(json);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().to_owned())
    }

    #[tokio::test]
    async fn each_error_has_its_status_and_a_message_in_json() {
        let (status, body) = order(r#"{"article": 1, "count": 2}"#).await;
        assert_eq!((status, body.as_str()), (200, r#"{"total":10}"#));
        let (status, body) = order(r#"{"article": 7, "count": 2}"#).await;
        assert_eq!(
            (status, body.as_str()),
            (404, r#"{"error":"there is no article 7"}"#)
        );
        let (status, body) = order(r#"{"article": 1, "count": 20}"#).await;
        assert_eq!(
            (status, body.as_str()),
            (409, r#"{"error":"the article is sold out"}"#)
        );
        let (status, _) = order(r#"{"article": 1}"#).await;
        assert_eq!(status, 422);
    }
}
