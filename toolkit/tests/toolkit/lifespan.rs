use std::time::Duration;

use callgate::{
    AppError, LifespanShutdownFailed, LifespanStartupComplete, LifespanStartupFailed, Receiver,
    Scope, SendEvent, Sender, State,
};
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

/// Why an application could not be started.
macro_rules! start_error {
    ($app:expr) => {
        match TestClient::start($app).await {
            Err(Error::Lifespan(reason)) => reason,
            other => panic!("not a failed start: {other:?}"),
        }
    };
}

#[tokio::test]
async fn a_start_up_that_fails_says_why() {
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
        let _ = sender.send(SendEvent::LifespanShutdownComplete).await;
        std::future::pending().await
    });
    assert!(hasty.starts_with("LIFE-12"), "{hasty}");
    async fn panics(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        panic!("for the test")
    }
    assert_eq!(start_error!(panics), "it panicked: for the test");
}

#[tokio::test(start_paused = true)]
async fn a_start_up_that_hangs_times_out() {
    async fn hangs(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        std::future::pending().await
    }
    let client = TestClient::new(hangs).patience(Duration::from_secs(1));
    let error = client.started().await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("waited 1s for start-up in vain"),
        "{error}"
    );
}
