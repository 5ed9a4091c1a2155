use std::sync::Arc;

use callgate::{
    App, AppError, Feature, LifespanShutdownFailed, LifespanStartupComplete, Receiver, Scope,
    Sender, State, WebSocketAccept, WebSocketClose,
};
use callgate_toolkit::mount::Mounts;
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient};

/// Responds with the name of the application, its root path and its state.
async fn describe(
    name: char,
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => {
            let text = format!(
                "{name} {} {} {} {:?}",
                scope.root_path,
                scope.route_path(),
                scope.uri,
                scope.state.get::<char>()
            );
            respond::text(text).send(&sender).await?;
        }
        Scope::WebSocket(scope) => {
            let text = format!("{name} {}", scope.root_path);
            sender.send(WebSocketAccept::new()).await?;
            sender.send(callgate::Message::text(text)).await?;
            sender.send(WebSocketClose::default()).await?;
        }
        Scope::Lifespan(_) => {
            receiver.receive().await;
            let mut state = State::new();
            state.insert(name);
            sender
                .send(LifespanStartupComplete::with_state(state))
                .await?;
            receiver.receive().await;
            let message = format!("{name} would not stop");
            sender.send(LifespanShutdownFailed::new(message)).await?;
        }
        _ => return Err(AppError::Unsupported),
    }
    Ok(())
}

macro_rules! app {
    ($name:literal) => {
        |scope: Scope, receiver: Receiver, sender: Sender| describe($name, scope, receiver, sender)
    };
}

async fn declines(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
    Err(AppError::Unsupported)
}

async fn text(client: &TestClient, target: &str) -> String {
    client.get(target).send().await.unwrap().text().to_owned()
}

#[tokio::test]
async fn the_longest_prefix_of_whole_segments_counts() {
    let app = Mounts::new()
        .mount("/api", app!('A'))
        .mount("/api/users/", app!('U'))
        .mount("", app!('R'));
    let client = TestClient::new(app);
    for (target, answer) in [
        ("/api/x?y", "A /api /x /api/x?y None"),
        ("/api", "A /api / /api None"),
        ("/api/", "A /api / /api/ None"),
        ("/api/users/7", "U /api/users /7 /api/users/7 None"),
        ("/api/users", "U /api/users / /api/users None"),
        ("/api/usersx", "A /api /usersx /api/usersx None"),
        ("/apix", "R  /apix /apix None"),
        ("//api", "R  //api //api None"),
        ("/%61pi/x", "A /api /x /%61pi/x None"),
        ("/", "R  / / None"),
    ] {
        assert_eq!(text(&client, target).await, answer, "{target}");
    }
}

#[tokio::test]
async fn the_prefix_is_appended_to_the_root_path() {
    let inner = Mounts::new().mount("/b", app!('B'));
    let client = TestClient::new(Mounts::new().mount("/a", inner)).root_path("/root");
    assert_eq!(
        text(&client, "/a/b/c").await,
        "B /root/a/b /c /root/a/b/c None"
    );
}

#[tokio::test]
async fn paths_without_a_mount_are_not_found() {
    let client = TestClient::new(Mounts::new().mount("/a", app!('A')));
    for path in ["/", "/b", "/ab"] {
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), 404, "{path}");
    }
    let denied = client.websocket("/b").connect().await.unwrap_err();
    assert_eq!(denied.response().unwrap().status(), 404);
    let refused = client.websocket("/b").with_scope(|scope| {
        scope.features = scope.features.without(Feature::DenialResponse);
    });
    let refused = refused.connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), 403);
}

#[tokio::test]
async fn a_websocket_is_mounted_too_with_and_without_a_slash() {
    let app = Mounts::new().mount("/a", app!('A')).redirect_to_slash();
    let client = TestClient::new(app);
    for target in ["/a", "/a/", "/a/b"] {
        let mut socket = client.websocket(target).connect().await.unwrap();
        assert_eq!(socket.text().await.unwrap(), "A /a");
    }
}

#[tokio::test]
async fn a_prefix_without_a_slash_is_redirected_relatively_when_asked_for() {
    let app = Mounts::new().mount("/a/b c", app!('A')).redirect_to_slash();
    let client = TestClient::new(app).root_path("/root");
    let response = client.get("/a/b%20c?x=1").send().await.unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], "./b%20c/?x=1");
    assert!(
        text(&client, "/a/b%20c/")
            .await
            .starts_with("A /root/a/b c /")
    );
}

#[tokio::test]
async fn each_application_has_the_state_that_it_made() {
    let inner = Mounts::new().mount("/c", app!('C')).mount("/d", declines);
    let app = Mounts::new()
        .mount("/a", app!('A'))
        .mount("/i", inner)
        .mount("/b", app!('B'));
    let client = TestClient::start(app).await.unwrap();
    assert!(text(&client, "/a/").await.ends_with("Some('A')"));
    assert!(text(&client, "/b/").await.ends_with("Some('B')"));
    assert!(text(&client, "/i/c/").await.ends_with("Some('C')"));
    let Err(Error::Lifespan(reason)) = client.shutdown().await else {
        panic!("shut down");
    };
    // In reverse, and each is told.
    assert_eq!(
        reason,
        "/b: B would not stop; /i: /c: C would not stop; /a: A would not stop"
    );
}

#[tokio::test]
async fn mounts_without_a_lifespan_of_their_own_do_not_take_the_state_of_those_around_them() {
    let inner = Arc::new(Mounts::new().mount("/c", app!('C')));
    let quiet = move |scope: Scope, receiver: Receiver, sender: Sender| {
        let inner = inner.clone();
        async move {
            match scope {
                Scope::Lifespan(_) => Err(AppError::Unsupported),
                scope => inner.call(scope, receiver, sender).await,
            }
        }
    };
    let app = Mounts::new().mount("/a", app!('A')).mount("/i", quiet);
    let client = TestClient::start(app).await.unwrap();
    assert!(text(&client, "/i/c/").await.ends_with("None"));
}

#[tokio::test]
async fn a_start_up_that_fails_names_the_prefix_and_stops_the_others() {
    async fn broken(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        Err(AppError::failed("no database"))
    }
    let app = Mounts::new().mount("/a", declines).mount("", broken);
    let Err(Error::Lifespan(reason)) = TestClient::start(app).await else {
        panic!("started");
    };
    assert_eq!(reason, "/: no database");
}

#[test]
#[should_panic(expected = "an application is mounted at `/a` already")]
fn nothing_is_mounted_twice() {
    let _ = Mounts::new().mount("/a", declines).mount("/a/", declines);
}
