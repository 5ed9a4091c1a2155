use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use callgate_apps::Settings;
use callgate_apps::items::{Database, DbConnection, Item, items};
use callgate_toolkit::test_client::{Failure, ResponseExt, TestClient, TestExchange};
use callgate_tower::ServiceApp;
use http::StatusCode;
use serde_json::{Value, json};

use crate::log::Log;

fn client_of(database: &Database) -> TestClient {
    TestClient::new(items(database.clone(), |_| Ok(())))
}

async fn get_from(client: &TestClient, path: &str) -> (StatusCode, Value) {
    let response = client.get(path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    (response.status(), response.json().unwrap())
}

#[tokio::test]
async fn an_item_is_read_by_an_asynchronous_handler_and_by_a_blocking_one() {
    let client = crate::client("items");
    for path in ["/items/42", "/sync/items/42"] {
        let answer = (StatusCode::OK, json!({"item_id": 42}));
        assert_eq!(get_from(&client, path).await, answer, "{path}");
    }
    let answer = (StatusCode::OK, json!({"item_id": -9}));
    assert_eq!(get_from(&client, "/items/-9").await, answer);
}

#[tokio::test]
async fn a_wrong_number_is_refused_by_name_and_the_next_request_is_served() {
    let client = crate::client("items");
    let log = Log::start();
    for (path, parameter) in [
        ("/items/", "item_id"),
        ("/sync/items/", "item_id"),
        ("/users/", "user_id"),
    ] {
        for value in ["abc", "1.5", "9223372036854775808", "0x1", "%C3%A9"] {
            let (status, content) = get_from(&client, &format!("{path}{value}")).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{path}{value}");
            let value = value.replace("%C3%A9", "é");
            let error = format!("{parameter}: `{value}` is not an integer of 64 bits");
            assert_eq!(content, json!({"error": error}));
        }
    }
    log.has("DEBUG GET /users/abc 422: user_id: `abc` is not an integer of 64 bits");
    let response = client.post("/items/abc").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = get_from(&client, "/items/%FF").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, _) = get_from(&client, "/items/1").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_user_is_found_or_not() {
    let client = crate::client("items");
    let ada = json!({"user_id": 1, "name": "Ada"});
    assert_eq!(get_from(&client, "/users/1").await, (StatusCode::OK, ada));
    let error = json!({"error": "there is no user 7"});
    let answer = (StatusCode::NOT_FOUND, error);
    assert_eq!(get_from(&client, "/users/7").await, answer);
}

#[tokio::test]
async fn an_item_is_received_first_and_processed_after_the_response() {
    let database = Database::new(1);
    let client = client_of(&database);
    let log = Log::start();
    // While this connection is open, the item cannot be processed.
    let connection = database.connect().await.unwrap();
    let response = client.post("/items/42").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.json::<Value>().unwrap(),
        json!({"message": "Item received"})
    );
    let item = Item { item_id: 42 };
    assert!(!connection.items().await.unwrap().contains(&item));
    assert!(!TestExchange::of(&response).is_ended());
    connection.close().await;
    TestExchange::of(&response).ended().await.unwrap();
    log.has("INFO item 42 has been processed");
    for path in ["/items/", "/items"] {
        let (status, items) = get_from(&client, path).await;
        assert_eq!(status, StatusCode::OK);
        let expected = [1, 2, 3, 42].map(|item_id| json!({"item_id": item_id}));
        assert_eq!(items, json!(expected));
    }
}

#[tokio::test]
async fn work_that_fails_is_reported_and_leaves_no_connection_open() {
    let database = Database::new(1);
    let client = client_of(&database);
    database.set_down(true);
    let response = client.post("/items/42").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let failure = TestExchange::of(&response).ended().await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Error(error) if error.to_string() == "the database does not answer"),
        "{failure}"
    );
    assert_eq!(*database.connections().borrow(), 0);
}

#[tokio::test]
async fn the_newest_thousand_items_are_kept() {
    let database = Database::new(1);
    let client = client_of(&database);
    for item_id in 1..=1100 {
        let response = client.post(format!("/items/{item_id}")).send().await;
        TestExchange::of(&response.unwrap()).ended().await.unwrap();
    }
    let (_, items) = get_from(&client, "/items/").await;
    let items = items.as_array().unwrap();
    assert_eq!(items.len(), 1000);
    assert_eq!(items[0], json!({"item_id": 101}));
    assert_eq!(items[999], json!({"item_id": 1100}));
}

/// Handlers that have a connection and end in each possible way.
fn every_way(database: &Database) -> TestClient {
    #[derive(Clone)]
    struct Shared(Database);
    impl FromRef<Shared> for Database {
        fn from_ref(shared: &Shared) -> Self {
            shared.0.clone()
        }
    }
    fn broken() {
        panic!("a handler is broken");
    }
    let routes = Router::new()
        .route(
            "/fine",
            get(async |connection: DbConnection| {
                connection.items().await.unwrap().len().to_string()
            }),
        )
        .route(
            "/fails",
            get(async |_: DbConnection| StatusCode::INTERNAL_SERVER_ERROR),
        )
        .route("/panics", get(async |_: DbConnection| broken()))
        .route("/hangs", get(async |_: DbConnection| pending::<()>().await))
        .with_state(Shared(database.clone()));
    TestClient::new(ServiceApp::new(routes))
}

#[tokio::test]
async fn the_connection_of_a_request_is_closed_after_it_however_that_ends() {
    let database = Database::new(1);
    let client = every_way(&database);
    let mut connections = database.connections();
    for (path, status) in [("/fine", 200), ("/fails", 500), ("/panics", 500)] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let ended = TestExchange::of(&response).ended().await;
        assert_eq!(ended.is_err(), path == "/panics", "{path}");
        assert!(connections.has_changed().unwrap(), "{path}: it was opened");
        assert_eq!(*connections.borrow_and_update(), 0, "{path}");
    }
    // The client of this request disconnects.
    let pending = client.get("/hangs").start();
    connections.wait_for(|open| *open == 1).await.unwrap();
    pending.exchange().disconnect();
    pending.exchange().ended().await.unwrap();
    assert_eq!(*connections.borrow_and_update(), 0);

    let response = client.get("/fine").send().await.unwrap();
    assert_eq!(response.text(), "3");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_too_long_for_a_connection_is_a_503() {
    let database = Database::new(1);
    let client = client_of(&database);
    let connection = database.connect().await.unwrap();
    let log = Log::start();
    for path in ["/items/", "/users/1"] {
        let error = "no connection to the database has become free in time";
        let answer = (StatusCode::SERVICE_UNAVAILABLE, json!({"error": error}));
        assert_eq!(get_from(&client, path).await, answer, "{path}");
        log.has(&format!("ERROR GET {path} 503: {error}"));
    }
    connection.close().await;
    assert_eq!(get_from(&client, "/users/1").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_database_that_is_down_is_a_503_until_it_is_back() {
    let database = Database::new(1);
    let client = client_of(&database);
    database.set_down(true);
    for path in ["/items/", "/users/1"] {
        let error = "the database does not answer";
        let answer = (StatusCode::SERVICE_UNAVAILABLE, json!({"error": error}));
        assert_eq!(get_from(&client, path).await, answer, "{path}");
    }
    let (status, _) = get_from(&client, "/items/1").await;
    assert_eq!(status, StatusCode::OK, "it needs no database");
    database.set_down(false);
    assert_eq!(get_from(&client, "/users/1").await.0, StatusCode::OK);
    assert_eq!(*database.connections().borrow(), 0);
}

/// The time for which the blocking log waits for the test.
const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_blocking_handler_delays_no_other_and_no_more_run_at_a_time_than_there_are_threads() {
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let (entered, mut are_in) = tokio::sync::mpsc::unbounded_channel();
    let (running, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let client = TestClient::new(items(Database::new(1), move |item_id| {
        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
        seen.fetch_max(now, Ordering::SeqCst);
        entered.send(item_id).unwrap();
        let reported = may_go.lock().unwrap().recv_timeout(TIMEOUT);
        running.fetch_sub(1, Ordering::SeqCst);
        reported.map_err(std::io::Error::other)
    }));
    let requests: Vec<_> = (0..20)
        .map(|item_id| client.get(format!("/sync/items/{item_id}")).start())
        .collect();
    for _ in 0..8 {
        are_in.recv().await.unwrap();
    }
    assert_eq!(get_from(&client, "/items/1").await.0, StatusCode::OK);
    for _ in 0..20 {
        go.send(()).unwrap();
    }
    for request in requests {
        let response = request.response().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(most.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn an_access_that_cannot_be_logged_is_a_failure_that_the_log_explains() {
    let broken = |item_id| match item_id {
        1 => Err(std::io::Error::other("the disk is full")),
        2 => panic!("no log"),
        _ => Ok(()),
    };
    let client = TestClient::new(items(Database::new(1), broken));
    let log = Log::start();
    for item_id in [1, 2] {
        let error = json!({"error": "the access could not be logged"});
        let answer = (StatusCode::INTERNAL_SERVER_ERROR, error);
        assert_eq!(
            get_from(&client, &format!("/sync/items/{item_id}")).await,
            answer
        );
    }
    log.has("ERROR GET /sync/items/1 500: the access could not be logged: the disk is full");
    assert!(log.text().contains("/sync/items/2 500"), "{}", log.text());
    assert_eq!(get_from(&client, "/sync/items/3").await.0, StatusCode::OK);
}

#[tokio::test]
async fn each_access_is_a_line_in_the_file_of_the_setting_whose_size_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.txt");
    let mut settings = Settings::default();
    settings.items_log = Some(file.clone());
    let client = TestClient::new((callgate_apps::find("items").unwrap().app)(&settings));
    for path in [
        "/sync/items/1",
        "/items/2",
        "/sync/items/3",
        "/sync/items/x",
    ] {
        client.get(path).send().await.unwrap();
    }
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines, "Access to item 1\nAccess to item 3\n");

    std::fs::write(&file, vec![b'\n'; 1024 * 1024]).unwrap();
    assert_eq!(get_from(&client, "/sync/items/4").await.0, StatusCode::OK);
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines, "Access to item 4\n");
    let kept = std::fs::metadata(folder.path().join("access.txt.old")).unwrap();
    assert_eq!(kept.len(), 1024 * 1024);

    drop(folder);
    let (status, _) = get_from(&client, "/sync/items/5").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_in_json() {
    let client = crate::client("items");
    for path in ["/nosuch", "/items/1/2", "/users", "/sync/items/"] {
        let (status, _) = get_from(&client, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    let response = client.delete("/items/1").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    let index = get_from(&client, "/").await.1;
    assert_eq!(index["routes"].as_array().unwrap().len(), 5);
}
