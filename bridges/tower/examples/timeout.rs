//! Requests that take too long, ended by tower-http: `cargo run -p callgate-tower --example timeout`.

use std::process::ExitCode;
use std::time::Duration;

use callgate::{App, AppError, ReceiveEvent, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use http::StatusCode;
use tower_http::timeout::TimeoutLayer;

/// In seconds, how long a response may take.
const LIMIT: u64 = 5;

/// Takes as many seconds as the query says, and stops when the client is gone.
async fn slow(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let seconds = scope.query().parse().unwrap_or(0);
    let work = tokio::time::sleep(Duration::from_secs(seconds));
    let gone = async { while receiver.receive().await != ReceiveEvent::HttpDisconnect {} };
    tokio::select! {
        () = work => respond::text("Done\n").send(&sender).await?,
        () = gone => println!("{} was given up", scope.uri),
    }
    Ok(())
}

fn app() -> impl App {
    let limit = Duration::from_secs(LIMIT);
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit);
    callgate_tower::layer(timeout, slow)
}

fn main() -> ExitCode {
    callgate_server::cli::main(app())
}

#[cfg(test)]
mod tests {
    use callgate_conformance::Lint;
    use callgate_toolkit::test_client::{ResponseExt as _, TestClient, TestExchange};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered_with_504() {
        let client = TestClient::new(Lint::new(app()).strict());
        let begun = Instant::now();
        let response = client.get("/?3").send().await.unwrap();
        assert_eq!(response.text(), "Done\n");
        assert_eq!(begun.elapsed().as_secs(), 3);

        let begun = Instant::now();
        let response = client.get("/?9").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(begun.elapsed().as_secs(), LIMIT);
        TestExchange::of(&response).ended().await.unwrap();
    }
}
