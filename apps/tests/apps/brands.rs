//! `brands` and `brands-blocking`. Each test runs with both.

use std::path::Path;
use std::sync::{Arc, Mutex};

use callgate::{BoxApp, Receiver, Scope, Sender, State};
use callgate_apps::Settings;
use callgate_toolkit::blocking::ThreadPool;
use callgate_toolkit::test_client::{Error, Pending, ResponseExt, TestClient, TestExchange};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use crate::log::Log;
use crate::postgres::Database;
use crate::tcp_proxy::{PASSWORD, TcpProxy};

const NAMES: [&str; 2] = ["brands", "brands-blocking"];

/// Returns the application of this name with this database.
fn app(name: &str, database: &str) -> BoxApp {
    let mut settings = Settings::default();
    settings.database_url = Some(database.parse().unwrap());
    (callgate_apps::find(name).unwrap().app)(&settings)
}

async fn start(name: &str, database: &str) -> TestClient {
    TestClient::start(app(name, database)).await.unwrap()
}

/// Returns why the application does not start.
async fn refusal(name: &str, database: &str) -> String {
    match TestClient::start(app(name, database)).await {
        Err(Error::Lifespan(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

async fn brands(client: &TestClient) -> (StatusCode, Value) {
    let response = client.get("/brands").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    (response.status(), response.json().unwrap())
}

/// Returns the response with the rows of a [`Database`].
fn rows() -> (StatusCode, Value) {
    let rows = json!([
        {"brand_id": 1, "brand_name": "Höhe"},
        {"brand_id": 2, "brand_name": "Tiefe"},
    ]);
    (StatusCode::OK, rows)
}

fn unavailable() -> (StatusCode, Value) {
    let error = json!({"error": "the database cannot be reached"});
    (StatusCode::SERVICE_UNAVAILABLE, error)
}

/// Creates a database of SQLite in this directory, and returns its path.
async fn sqlite(directory: &Path, sql: &'static str) -> String {
    let path = directory.join("products.db");
    let options = SqliteConnectOptions::new().filename(&path);
    let mut connection = options.create_if_missing(true).connect().await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_setting_the_rows_of_a_database_in_memory_are_served() {
    for name in NAMES {
        let client = TestClient::start(crate::app(name)).await.unwrap();
        let (status, rows) = brands(&client).await;
        assert_eq!(status, StatusCode::OK);
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), 6);
        assert_eq!(rows[3], json!({"brand_id": 4, "brand_name": "Drømmeri"}));
        client.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn every_connection_of_a_database_in_memory_has_the_rows() {
    for database in ["", "sqlite::memory:"] {
        for name in NAMES {
            let client = start(name, database).await;
            let pending: Vec<_> = (0..30).map(|_| client.get("/brands").start()).collect();
            for pending in pending {
                let response = pending.response().await.unwrap();
                let rows: Vec<Value> = response.json().unwrap();
                assert_eq!(rows.len(), 6);
            }
        }
    }
}

#[tokio::test]
async fn the_rows_of_a_file_are_served() {
    let sql = "CREATE TABLE brand (brand_id INTEGER PRIMARY KEY, brand_name TEXT NOT NULL);
        INSERT INTO brand VALUES (9223372036854775807, 'Last'), (-1, 'First');";
    let directory = tempfile::tempdir().unwrap();
    let path = sqlite(directory.path(), sql).await;
    let expected = json!([
        {"brand_id": -1, "brand_name": "First"},
        {"brand_id": 9_223_372_036_854_775_807_i64, "brand_name": "Last"},
    ]);
    for name in NAMES {
        for prefix in ["sqlite:", "sqlite://"] {
            let client = start(name, &format!("{prefix}{path}")).await;
            assert_eq!(brands(&client).await, (StatusCode::OK, expected.clone()));
            client.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_somebody_else_has_locked_is_a_503_until_it_is_free() {
    let sql = "CREATE TABLE brand (brand_id INTEGER PRIMARY KEY, brand_name TEXT NOT NULL);
        INSERT INTO brand VALUES (1, 'Höhe'), (2, 'Tiefe');";
    let directory = tempfile::tempdir().unwrap();
    let path = sqlite(directory.path(), sql).await;
    let options = SqliteConnectOptions::new().filename(&path);
    let mut other = options.connect().await.unwrap();
    for name in NAMES {
        let client = start(name, &format!("sqlite:{path}")).await;
        other.execute("BEGIN EXCLUSIVE").await.unwrap();
        assert_eq!(brands(&client).await, unavailable(), "{name}");
        other.execute("ROLLBACK").await.unwrap();
        assert_eq!(brands(&client).await, rows(), "{name}");
        client.shutdown().await.unwrap();
    }
    other.close().await.unwrap();
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json() {
    for name in NAMES {
        let client = start(name, "").await;
        for method in [Method::POST, Method::DELETE] {
            let response = client.method(method, "/brands").send().await.unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
            let allowed = response.headers()["allow"].to_str().unwrap();
            assert_eq!(allowed.replace(' ', ""), "GET,HEAD");
            assert!(response.json::<Value>().unwrap()["error"].is_string());
        }
        for path in ["/brand", "/brands/", "/brands/1"] {
            let response = client.get(path).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            let expected = json!({"error": "there is nothing at this path"});
            assert_eq!(response.json::<Value>().unwrap(), expected);
        }
        let response = client.head("/brands").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.text(), "");
        let index: Value = client.get("/").send().await.unwrap().json().unwrap();
        assert_eq!(index["routes"], json!(["GET /brands"]));
    }
}

#[tokio::test]
async fn without_a_start_up_there_is_no_database_and_an_error() {
    for name in NAMES {
        let client = TestClient::new(app(name, ""));
        let (status, answer) = brands(&client).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer["error"].is_string());
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused_at_start_up() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent.db");
    let absent = absent.to_str().unwrap();
    let other = sqlite(directory.path(), "CREATE TABLE other (id INTEGER)").await;
    // No server listens at this address after the listener is closed.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = free.local_addr().unwrap();
    drop(free);
    for name in NAMES {
        for (database, expected) in [
            (
                format!("mysql://root:{PASSWORD}@db/shop"),
                "its URL is neither",
            ),
            (PASSWORD.to_owned(), "its URL is neither"),
            ("sqlite:".to_owned(), "its URL is neither"),
            (
                format!("postgres://u:{PASSWORD}@localhost:many/shop"),
                "port",
            ),
            (format!("postgres://u:{PASSWORD}@{refused}/shop"), "refused"),
            (format!("sqlite:{absent}"), absent),
            (format!("sqlite:{other}"), "no such table: brand"),
        ] {
            let reason = refusal(name, &database).await;
            assert!(reason.starts_with("cannot open the database: "), "{reason}");
            assert!(reason.contains(expected), "{reason}");
            assert!(
                reason.contains("--database-url or DATABASE_URL"),
                "{reason}"
            );
            assert!(!reason.contains(PASSWORD), "{reason}");
        }
    }
    assert!(!Path::new(absent).exists());
}

#[test]
fn the_url_of_a_database_is_not_in_the_debug_output() {
    let mut settings = Settings::default();
    settings.database_url = Some(PASSWORD.parse().unwrap());
    assert!(!format!("{settings:?}").contains(PASSWORD));
}

#[tokio::test]
async fn six_connections_are_opened_at_start_up_and_closed_at_shutdown() {
    for name in NAMES {
        let mut database = Database::create().await;
        // A state that outlives its exchange does not keep the connections open.
        let kept = Arc::<Mutex<State>>::default();
        let (app, keeping) = (app(name, database.url.as_str()), kept.clone());
        let app = move |scope: Scope, receiver: Receiver, sender: Sender| {
            if let Scope::Http(scope) = &scope {
                *keeping.lock().unwrap() = scope.state.clone();
            }
            app.call_boxed(scope, receiver, sender)
        };
        let client = TestClient::start(app).await.unwrap();
        database.has_connections(6).await;
        assert_eq!(brands(&client).await, rows());
        assert_eq!(database.connections().await, 6);
        client.shutdown().await.unwrap();
        database.has_connections(0).await;
        assert!(!kept.lock().unwrap().is_empty());
        database.remove().await;
    }
}

#[tokio::test]
async fn an_application_that_is_dropped_without_a_shutdown_leaves_no_connection() {
    for name in NAMES {
        let mut database = Database::create().await;
        let client = start(name, database.url.as_str()).await;
        database.has_connections(6).await;
        drop(client);
        database.has_connections(0).await;
        database.remove().await;
    }
}

#[tokio::test]
async fn connections_that_were_ended_while_idle_fail_no_request() {
    for name in NAMES {
        let mut database = Database::create().await;
        let client = start(name, database.url.as_str()).await;
        database.has_connections(6).await;
        // An operator ends the connections. The function waits until they are closed.
        let terminate = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.connection.execute(terminate).await.unwrap();
        assert_eq!(database.connections().await, 0);
        assert_eq!(brands(&client).await, rows());
        client.shutdown().await.unwrap();
        database.remove().await;
    }
}

#[tokio::test]
async fn a_database_that_goes_down_is_a_503_until_it_is_back() {
    for name in NAMES {
        let log = Log::start();
        let mut database = Database::create().await;
        let mut proxy = TcpProxy::to(&database).await;
        let client = start(name, proxy.url.as_str()).await;
        assert_eq!(brands(&client).await, rows());
        proxy.close().await;
        assert_eq!(brands(&client).await, unavailable());
        let response = client.get("/brands").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let ended = TestExchange::of(&response).ended().await;
        proxy.reopen().await;
        assert_eq!(brands(&client).await, rows());
        client.shutdown().await.unwrap();
        database.has_connections(0).await;
        database.remove().await;
        assert!(!log.text().contains(PASSWORD));
        // With axum the application logs the error; otherwise the server does, here the test client.
        let reason = match ended {
            Ok(()) => log.text(),
            Err(failure) => failure.to_string(),
        };
        assert!(
            reason.contains("the database cannot be reached: "),
            "{reason}"
        );
        assert_eq!(reason.contains("ERROR GET /brands 503: "), name == "brands");
        assert!(!reason.contains(PASSWORD), "{reason}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_a_503_in_time_and_no_more_connections() {
    for name in NAMES {
        let mut database = Database::create().await;
        let client = start(name, database.url.as_str()).await;
        let lock = "BEGIN; LOCK TABLE brand IN ACCESS EXCLUSIVE MODE";
        database.connection.execute(lock).await.unwrap();
        // More requests than there are connections.
        let pending: Vec<Pending> = (0..8).map(|_| client.get("/brands").start()).collect();
        for pending in pending {
            let response = pending.response().await.unwrap();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.json::<Value>().unwrap()["error"].is_string());
            assert!(database.connections().await <= 6);
        }
        database.connection.execute("ROLLBACK").await.unwrap();
        assert_eq!(brands(&client).await, rows());
        client.shutdown().await.unwrap();
        database.remove().await;
    }
}

#[tokio::test]
async fn a_query_that_the_database_refuses_is_a_500_and_the_connection_is_kept() {
    for name in NAMES {
        let mut database = Database::create().await;
        let client = start(name, database.url.as_str()).await;
        let rename = "ALTER TABLE brand RENAME TO label";
        database.connection.execute(rename).await.unwrap();
        let (status, answer) = brands(&client).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let expected = json!({"error": "the database could not be read"});
        assert_eq!(answer, expected);
        assert_eq!(database.connections().await, 6);
        let rename = "ALTER TABLE label RENAME TO brand";
        database.connection.execute(rename).await.unwrap();
        assert_eq!(brands(&client).await, rows());
        client.shutdown().await.unwrap();
        database.remove().await;
    }
}

#[tokio::test]
async fn a_burst_grows_neither_threads_nor_connections() {
    let mut database = Database::create().await;
    let threads = ThreadPool::new(3);
    let url = database.url.as_str().parse().unwrap();
    let app = callgate_apps::brands_blocking::app(Some(url), &threads);
    let client = TestClient::start(app).await.unwrap();
    for _ in 0..3 {
        let pending: Vec<_> = (0..100).map(|_| client.get("/brands").start()).collect();
        for pending in pending {
            assert_eq!(pending.response().await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(threads.threads(), 3);
        assert_eq!(database.connections().await, 3);
    }
    client.shutdown().await.unwrap();
    database.remove().await;
}
