//! The thread of an application, from its start to its end.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, process};

use callgate_python::EventLoop;
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::test_client::{Error, TestClient};
use tokio::time::{sleep, timeout};

use super::{get, log, raw};

const LOOPS: [EventLoop; 2] = [EventLoop::Asyncio, EventLoop::Uvloop];

/// Returns the folder in which the system tells about a thread of this process.
fn folder_of(thread: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/task/{thread}"))
}

/// Waits until a thread has ended. Tasks of the client that have ended still have clones of the application.
pub(super) async fn ended(thread: &str) {
    let ended = async {
        while folder_of(thread).exists() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = timeout(Duration::from_secs(10), ended).await;
    ended.expect("the thread ends");
}

#[tokio::test]
async fn the_thread_ends_with_the_last_clone_and_what_the_application_has_left_is_cancelled()
-> Result<(), Error> {
    for event_loop in LOOPS {
        let app = raw(event_loop).unwrap();
        let file = env::temp_dir().join(format!("callgate-{event_loop:?}-{}", process::id()));
        let client = TestClient::new(app.clone()).with_lifespan().await?;
        let thread = get(&client, "/thread").await?;
        let (thread, is_main) = thread.split_once(' ').unwrap();
        assert_eq!(is_main, "False");
        get(&client, &format!("/leave?{}", file.display())).await?;
        client.shutdown().await?;
        assert!(folder_of(thread).exists(), "a clone is left");
        drop(app);
        ended(thread).await;
        assert_eq!(fs::read_to_string(&file).unwrap(), "ended");
        fs::remove_file(file).unwrap();
    }
    Ok(())
}

#[tokio::test]
async fn a_task_that_does_not_end_holds_up_its_program_for_some_seconds_only() -> Result<(), Error>
{
    let app = raw(EventLoop::Asyncio).unwrap();
    let client = TestClient::new(app.clone());
    get(&client, "/stay").await?;
    drop(client);
    drop(app);
    // Tasks of the client that have ended may still have clones of the application.
    let told = async {
        while log::count("the thread of `raw:create` has not ended after 5 s") == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let told = timeout(Duration::from_secs(30), told).await;
    told.expect("the thread is left behind");
    Ok(())
}

#[tokio::test]
async fn each_application_has_a_thread_of_its_own() -> Result<(), Error> {
    let first = TestClient::new(raw(EventLoop::Asyncio).unwrap());
    let second = TestClient::new(raw(EventLoop::Uvloop).unwrap());
    assert_ne!(
        get(&first, "/thread").await?,
        get(&second, "/thread").await?
    );
    Ok(())
}

#[tokio::test]
async fn an_exit_of_the_application_ends_its_event_loop_and_not_the_program() -> Result<(), Error> {
    for event_loop in LOOPS {
        let app = raw(event_loop).unwrap();
        let client = TestClient::new(app);
        let waiting = client.get("/hold").start();
        get(&client, "/noted?waits").await?;
        for exchange in [client.get("/exit").start(), waiting] {
            let failure = exchange.exchange().ended().await.unwrap_err();
            let failure = failure.to_string();
            let expected = ["`raw:create` has ended", "SystemExit: 3"];
            assert!(
                expected.iter().any(|text| failure.contains(text)),
                "{failure}"
            );
        }
        let response = client.get("/scope").send().await?;
        assert_eq!(response.status(), 500);
    }
    assert!(log::count("the event loop of `raw:create` has ended: SystemExit: 3") >= LOOPS.len());
    Ok(())
}

#[test]
fn the_signals_are_those_of_the_program() {
    for event_loop in LOOPS {
        let _app = raw(event_loop).unwrap();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        let interrupt = 1 << (2 - 1);
        assert_eq!(caught & interrupt, 0, "SIGINT ends the program");
    }
}

#[tokio::test]
async fn mounts_share_their_lifespan_and_each_application_has_its_own_state() -> Result<(), Error> {
    let app = Mounts::new()
        .mount("/one", raw(EventLoop::Asyncio).unwrap())
        .mount("/other", raw(EventLoop::Uvloop).unwrap());
    let client = TestClient::start(app).await?;
    assert_eq!(get(&client, "/one/state").await?, "hello! 1");
    assert_eq!(get(&client, "/one/state").await?, "hello! 2");
    assert_eq!(get(&client, "/other/state").await?, "hello! 1");
    assert_eq!(get(&client, "/one/scope").await?, "/one /one/scope");
    client.shutdown().await
}
