//! Requests of other origins, allowed by tower-http: `cargo run -p callgate-tower --example cors`.

use std::process::ExitCode;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use http::{HeaderValue, Method};
use tower_http::cors::CorsLayer;

async fn prices(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    respond::text("apples 2.50\n").send(&sender).await?;
    Ok(())
}

fn app() -> impl App {
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static("https://shop.example"))
        .allow_methods([Method::GET]);
    callgate_tower::layer(cors, prices)
}

fn main() -> ExitCode {
    callgate_server::cli::main(app())
}

#[cfg(test)]
mod tests {
    use callgate_conformance::Lint;
    use callgate_toolkit::test_client::{ResponseExt as _, TestClient, TestExchange};

    use super::*;

    #[tokio::test]
    async fn the_layer_answers_the_preflight_and_names_the_origin() {
        let client = TestClient::new(Lint::new(app()).strict());
        let preflight = client
            .method(Method::OPTIONS, "/")
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "GET");
        let response = preflight.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["access-control-allow-methods"], "GET");
        assert_eq!(response.text(), "");
        TestExchange::of(&response).ended().await.unwrap();

        let request = client.get("/").header("origin", "https://shop.example");
        let response = request.send().await.unwrap();
        let allowed = &response.headers()["access-control-allow-origin"];
        assert_eq!(allowed, "https://shop.example");
        assert_eq!(response.text(), "apples 2.50\n");
    }
}
