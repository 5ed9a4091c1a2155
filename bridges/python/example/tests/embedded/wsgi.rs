//! Applications of WSGI.

use std::num::NonZeroUsize;

use callgate_python::AsgiApp;
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::test_client::{Error, TestClient};

use super::lifetime::ended;
use super::{get, loader, log};

fn load(threads: usize) -> AsgiApp {
    let threads = NonZeroUsize::new(threads).unwrap();
    loader("wsgi:app").wsgi_threads(threads).load().unwrap()
}

#[tokio::test]
async fn a_request_is_served_below_a_mount_with_a_lifespan() -> Result<(), Error> {
    let app = Mounts::new().mount("/shop", load(1));
    let client = TestClient::new(app).with_lifespan().await?;
    assert_eq!(get(&client, "/shop/a%20b").await?, "/shop /a b");
    assert_eq!(get(&client, "/shop").await?, "/shop ");
    client.shutdown().await
}

#[tokio::test]
async fn content_is_read() -> Result<(), Error> {
    let client = TestClient::new(load(1));
    for size in [0, 10, 1 << 20] {
        let response = client.post("/").body(vec![b'x'; size]).send().await?;
        assert_eq!(response.headers()["x-length"], size.to_string());
    }
    Ok(())
}

#[tokio::test]
async fn as_many_calls_run_as_there_are_threads() -> Result<(), Error> {
    let client = TestClient::new(load(2));
    let (one, other) = tokio::join!(client.get("/meet").send(), client.get("/meet").send());
    let (one, other) = (one?, other?);
    assert_ne!(one.headers()["x-thread"], other.headers()["x-thread"]);
    Ok(())
}

#[tokio::test]
async fn an_exception_ends_the_call_and_is_logged_once_with_its_own_lines() -> Result<(), Error> {
    let client = TestClient::new(load(1));
    let response = client.get("/fail?of-wsgi").start();
    let failure = response.exchange().ended().await.unwrap_err();
    let expected = "the application failed: RuntimeError: the query of-wsgi";
    assert_eq!(failure.to_string(), expected);
    assert_eq!(response.response().await?.status(), 500);
    assert_eq!(log::count("\n    RuntimeError: the query of-wsgi "), 1);
    assert_eq!(log::count("raise RuntimeError(\"the query \" + query)"), 1);
    Ok(())
}

#[tokio::test]
async fn the_lines_of_logging_are_in_the_log_of_the_program() -> Result<(), Error> {
    let client = TestClient::new(load(1));
    get(&client, "/warn?pears").await?;
    assert_eq!(log::count("low on pears"), 1);
    Ok(())
}

#[tokio::test]
async fn the_threads_end_with_the_last_clone() -> Result<(), Error> {
    let app = load(3);
    let client = TestClient::new(app.clone());
    let response = client.get("/").send().await?;
    let thread = response.headers()["x-thread"].to_str().unwrap();
    let (thread, name) = thread.split_once(' ').unwrap();
    assert!(name.starts_with("callgate-wsgi-"));
    drop((client, app));
    ended(thread).await;
    Ok(())
}
