//! A database pool in lifespan: start-up opens it, each exchange finds it in the state, shutdown closes it.

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::{read, respond};
use http::Method;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

async fn open(url: String) -> Result<SqlitePool, AppError> {
    // An error stops the server with its reason, before it takes connections.
    let pool = SqlitePoolOptions::new()
        .max_connections(5)
        .connect(&url)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    Ok(pool)
}

async fn close(pool: SqlitePool) -> Result<(), AppError> {
    pool.close().await;
    Ok(())
}

async fn notes(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let pool = scope.state.get::<SqlitePool>();
    let pool = pool.ok_or_else(|| AppError::failed("start-up has not run"))?;
    if scope.method == Method::POST {
        let text = read::text(&mut receiver, 4096).await?;
        sqlx::query("INSERT INTO notes VALUES (?)")
            .bind(text)
            .execute(pool)
            .await?;
    }
    let query = sqlx::query_scalar::<_, String>("SELECT text FROM notes ORDER BY rowid");
    let notes = query.fetch_all(pool).await?;
    respond::json(&notes)?.send(&sender).await
}

/// The application, with the database at `url`, such as `sqlite:notes.db?mode=rwc`.
pub fn app(url: String) -> impl App {
    with_resource(notes, move || open(url.clone()), close)
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::test_client::{ResponseExt, TestClient};

    #[tokio::test]
    async fn notes_are_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("notes.db");
        let url = format!("sqlite:{}?mode=rwc", file.display());
        for expected in [r#"["once"]"#, r#"["once","once"]"#] {
            let client = TestClient::start(super::app(url.clone())).await.unwrap();
            let response = client.post("/").body("once").send().await.unwrap();
            assert_eq!(response.text(), expected);
            client.shutdown().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_stops_the_start_up() {
        let missing = "sqlite:/no/such/folder/notes.db".to_owned();
        assert!(TestClient::start(super::app(missing)).await.is_err());
    }
}
