use std::sync::{Arc, Mutex};
use std::time::Duration;

use callgate::{
    App, AppError, LifespanShutdownComplete, LifespanShutdownFailed, LifespanStartupComplete,
    LifespanStartupFailed, Receiver, Scope, Sender, State,
};
use callgate_toolkit::lifespan::{self, with_resource};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient};

/// Has a number in its state, and does not stop without a complaint.
async fn keeper(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Lifespan(_) => {
            receiver.receive().await;
            let mut state = State::new();
            state.insert(7_u8);
            sender
                .send(LifespanStartupComplete::with_state(state))
                .await?;
            receiver.receive().await;
            sender
                .send(LifespanShutdownFailed::new("it is stuck"))
                .await?;
            Ok(())
        }
        Scope::Http(scope) => {
            let number = scope.state.get::<u8>().map(u8::to_string);
            respond::text(number.unwrap_or_default())
                .send(&sender)
                .await?;
            Ok(())
        }
        _ => Err(AppError::Unsupported),
    }
}

#[tokio::test]
async fn exchanges_share_the_state_of_the_lifespan() {
    let client = TestClient::start(keeper).await.unwrap();
    assert_eq!(client.get("/").send().await.unwrap().text(), "7");
    assert_eq!(client.get("/").send().await.unwrap().text(), "7");
    assert_eq!(
        client.lifespan().unwrap().to_string(),
        "called    lifespan\n\
         received  lifespan.startup\n\
         sent      lifespan.startup.complete State([\"u8\"])"
    );
    let error = client.shutdown().await.unwrap_err();
    assert!(matches!(error, Error::Lifespan(reason) if reason == "it is stuck"));
}

#[tokio::test]
async fn an_application_that_declines_runs_without_a_lifespan() {
    async fn declines(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        Err(AppError::Unsupported)
    }
    let client = TestClient::start(declines).await.unwrap();
    assert!(client.lifespan().is_none());
    client.shutdown().await.unwrap();
}

/// Returns the reason for which an application could not be started.
macro_rules! start_error {
    ($app:expr) => {
        match TestClient::start($app).await {
            Err(Error::Lifespan(reason)) => reason,
            other => panic!("not a failed start: {other:?}"),
        }
    };
}

#[tokio::test]
async fn a_start_up_that_fails_returns_its_reason() {
    let failed = start_error!(async |_: Scope, _: Receiver, sender: Sender| {
        sender
            .send(LifespanStartupFailed::new("no database"))
            .await?;
        Ok(())
    });
    assert_eq!(failed, "no database");
    let error = start_error!(async |_: Scope, _: Receiver, _: Sender| Err(AppError::failed("no")));
    assert_eq!(error, "no");
    let silent = start_error!(async |_: Scope, _: Receiver, _: Sender| Ok(()));
    assert!(silent.starts_with("LIFE-04"), "{silent}");
    let hasty = start_error!(async |_: Scope, _: Receiver, sender: Sender| {
        let _ = sender.send(LifespanShutdownComplete::new()).await;
        std::future::pending().await
    });
    assert!(hasty.starts_with("LIFE-12"), "{hasty}");
    async fn panics(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        panic!("for the test")
    }
    assert_eq!(
        start_error!(panics),
        "the application panicked: for the test"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_up_that_hangs_times_out() {
    async fn hangs(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        std::future::pending().await
    }
    let client = TestClient::new(hangs).timeout(Duration::from_secs(1));
    let error = client.with_lifespan().await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("waited 1s for start-up in vain"),
        "{error}"
    );
}

/// The resources that were opened and closed, in order.
#[derive(Clone, Default)]
struct EventLog(Arc<Mutex<Vec<&'static str>>>);

impl EventLog {
    fn note(&self, entry: &'static str) {
        self.0.lock().unwrap().push(entry);
    }

    fn entries(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    /// Returns `app` with a resource whose opening and closing are logged.
    fn pool(&self, app: impl App) -> impl App {
        let (opening, closing) = (self.clone(), self.clone());
        with_resource(
            app,
            move || {
                opening.note("pool opened");
                async { Ok::<_, AppError>("pool") }
            },
            move |pool: &'static str| {
                assert_eq!(pool, "pool");
                closing.note("pool closed");
                async { Err::<(), _>(AppError::failed("a connection is leaked")) }
            },
        )
    }
}

async fn says_its_state(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let pool = scope.state.get::<&str>().copied().unwrap_or("no pool");
    respond::text(pool).send(&sender).await?;
    Ok(())
}

#[tokio::test]
async fn a_resource_is_open_from_start_up_to_shutdown() {
    let log = EventLog::default();
    let client = TestClient::start(log.pool(says_its_state)).await.unwrap();
    assert_eq!(client.get("/").send().await.unwrap().text(), "pool");
    assert_eq!(log.entries(), ["pool opened"]);
    let error = client.shutdown().await.unwrap_err();
    assert!(matches!(error, Error::Lifespan(reason) if reason == "a connection is leaked"));
    assert_eq!(log.entries(), ["pool opened", "pool closed"]);
}

#[tokio::test]
async fn a_resource_that_does_not_open_fails_the_start_up() {
    async fn open() -> Result<u8, std::num::ParseIntError> {
        "no number".parse()
    }
    async fn close(_: u8) -> Result<(), AppError> {
        panic!("it was never opened");
    }
    let app = with_resource(says_its_state, open, close);
    let reason = lifespan::start(app).await.unwrap_err();
    assert_eq!(reason, "invalid digit found in string");
}

#[tokio::test]
async fn the_lifespan_of_the_application_runs_inside_that_of_its_resource() {
    let log = EventLog::default();
    let started = lifespan::start(log.pool(keeper)).await.unwrap().unwrap();
    assert_eq!(started.state().get::<u8>(), Some(&7));
    assert_eq!(started.state().get::<&str>(), Some(&"pool"));
    let reasons = started.shutdown().await.unwrap_err();
    assert_eq!(reasons, "it is stuck; a connection is leaked");
}

#[tokio::test]
async fn a_resource_is_closed_when_the_application_inside_does_not_start() {
    async fn fails(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        Err(AppError::failed("no such table"))
    }
    let log = EventLog::default();
    let reason = lifespan::start(log.pool(fails)).await.unwrap_err();
    assert_eq!(reason, "no such table");
    assert_eq!(log.entries(), ["pool opened", "pool closed"]);
}
