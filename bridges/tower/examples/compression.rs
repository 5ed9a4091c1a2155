//! Responses compressed by tower-http: `cargo run -p callgate-tower --example compression`.

use std::process::ExitCode;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use tower_http::compression::CompressionLayer;

async fn verbose(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    respond::text("Again, again, again!\n".repeat(1000))
        .send(&sender)
        .await?;
    Ok(())
}

fn app() -> impl App {
    callgate_tower::layer(CompressionLayer::new(), verbose)
}

fn main() -> ExitCode {
    callgate_server::cli::main(app())
}

#[cfg(test)]
mod tests {
    use callgate_conformance::Lint;
    use callgate_toolkit::test_client::{ResponseExt as _, TestClient, TestExchange};
    use callgate_tower::AppService;
    use http::Request;
    use http_body_util::{BodyExt as _, Empty};
    use tower::ServiceExt as _;
    use tower_http::decompression::Decompression;

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_gzip_gets_fewer_bytes() {
        let client = TestClient::new(Lint::new(app()).strict());
        let request = client.get("/").header("accept-encoding", "gzip");
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert!(response.body().len() < 1000);
        TestExchange::of(&response).ended().await.unwrap();

        let plain = client.get("/").send().await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"));
        assert_eq!(plain.text().len(), 21_000);
    }

    #[tokio::test]
    async fn the_content_is_compressed() {
        // A client that asks for gzip and undoes it, around the application as a service.
        let client = Decompression::new(AppService::new(app()));
        let request = Request::get("/").header("host", "localhost");
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = client.oneshot(request).await.unwrap();
        let content = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(content, "Again, again, again!\n".repeat(1000));
    }
}
