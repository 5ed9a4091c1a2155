//! Static files: a directory is an application, mounted below a prefix.

use std::path::PathBuf;

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::file::Directory;
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::respond;

async fn home(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    scope.into_http()?;
    let page = "<!doctype html><link rel=stylesheet href=/assets/style.css>Hello!";
    respond::html(page).send(&sender).await
}

/// The application, with the files below the folder `assets`.
pub fn app(assets: impl Into<PathBuf>) -> impl App {
    let assets = Directory::new(assets)
        .precompressed()
        .header("cache-control", "max-age=3600");
    Mounts::new().mount("", home).mount("/assets", assets)
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn files_have_a_type_and_are_sent_again_only_when_they_have_changed() {
        let assets = tempfile::tempdir().unwrap();
        std::fs::write(assets.path().join("style.css"), "body {}").unwrap();
        let client = TestClient::new(super::app(assets.path()));

        let response = client.get("/assets/style.css").send().await.unwrap();
        assert_eq!(response.text(), "body {}");
        assert_eq!(
            response.headers()["content-type"],
            "text/css; charset=utf-8"
        );
        assert_eq!(response.headers()["cache-control"], "max-age=3600");

        let etag = response.headers()["etag"].clone();
        let again = client
            .get("/assets/style.css")
            .header("if-none-match", etag);
        assert_eq!(again.send().await.unwrap().status(), 304);

        let outside = client.get("/assets/../secret").send().await.unwrap();
        assert_eq!(outside.status(), 404);
    }
}
