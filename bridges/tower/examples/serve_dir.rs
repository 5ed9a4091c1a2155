//! Static files by tower-http, and an application for all that is no file:
//! `cargo run -p callgate-tower --example serve_dir`.

use std::process::ExitCode;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::respond;
use callgate_tower::{AppService, ServiceApp};
use tower_http::services::ServeDir;

async fn fallback(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let text = format!("There is no file {}, but an application.\n", scope.path());
    respond::text(text).send(&sender).await?;
    Ok(())
}

fn app() -> impl App {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/static");
    let files = ServeDir::new(directory).fallback(AppService::new(fallback));
    ServiceApp::new(files)
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
    async fn files_are_served_and_the_rest_goes_to_the_application() {
        let client = TestClient::new(Lint::new(app()).strict());
        let response = client.get("/notes.txt").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(response.headers()["content-length"], "12");
        assert_eq!(response.text(), "A few notes\n");
        TestExchange::of(&response).ended().await.unwrap();

        let part = client.get("/notes.txt").header("range", "bytes=2-4");
        let response = part.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text()), (206, "few"));

        let modified = response.headers()["last-modified"].clone();
        let known = client
            .get("/notes.txt")
            .header("if-modified-since", modified);
        assert_eq!(known.send().await.unwrap().status(), 304);

        let response = client.get("/other").send().await.unwrap();
        assert_eq!(
            response.text(),
            "There is no file /other, but an application.\n"
        );
    }
}
