//! Requests and responses logged by tower-http: `cargo run -p callgate-tower --example trace`.

use std::process::ExitCode;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use tower_http::trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer};
use tracing::Level;

async fn hello(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    // It happens within the span of the request.
    tracing::info!("greeting {:?}", scope.query());
    respond::text("Hello, world!\n").send(&sender).await?;
    Ok(())
}

fn app() -> impl App {
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::INFO))
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    callgate_tower::layer(trace, hello)
}

fn main() -> ExitCode {
    callgate_server::cli::main(app())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use callgate_conformance::Lint;
    use callgate_toolkit::test_client::{TestClient, TestExchange};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    #[tokio::test]
    async fn the_application_logs_within_the_span_of_its_request() {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);

        let client = TestClient::new(Lint::new(app()).strict());
        let response = client.get("/there?name=you").send().await.unwrap();
        TestExchange::of(&response).ended().await.unwrap();

        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let [greeting, finished] = log.lines().collect::<Vec<_>>()[..] else {
            panic!("{log}");
        };
        for line in [greeting, finished] {
            assert!(line.contains("method=GET uri=/there?name=you"), "{line}");
        }
        assert!(greeting.contains("greeting \"name=you\""), "{greeting}");
        assert!(finished.contains("status=200"), "{finished}");
    }
}
