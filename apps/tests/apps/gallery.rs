use callgate::{
    AppError, BoxApp, Extension, LifespanShutdownFailed, LifespanStartupComplete, ReceiveEvent,
    Receiver, Scope, SendEvent, Sender, State, WebSocketClose,
};
use callgate_apps::gallery::Gallery;
use callgate_apps::{Entry, all, find};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::support::{Exchange, app, get, http_scope, request, websocket_scope};

/// What `scope` is told below the gallery.
async fn scope_at(root_path: &str, target: &str) -> Value {
    let mut scope = http_scope(Method::GET, target);
    scope.root_path = root_path.to_owned().into();
    let (start, content) = request(&app("gallery"), scope).await;
    assert_eq!(start.status, StatusCode::OK);
    serde_json::from_str(&content).unwrap()
}

#[tokio::test]
async fn a_mounted_application_has_its_prefix_in_the_root_path_and_the_target_as_it_was() {
    let scope = scope_at("", "/scope/caf%C3%A9?a=1").await;
    assert_eq!(scope["root_path"], "/scope");
    assert_eq!(scope["raw_path"], "/scope/caf%C3%A9");
    assert_eq!(scope["query_string"], "a=1");

    let scope = scope_at("/api", "/api/scope/").await;
    assert_eq!(scope["root_path"], "/api/scope");
    assert_eq!(scope["raw_path"], "/api/scope/");
}

#[tokio::test]
async fn a_name_without_a_slash_is_redirected_relatively_with_its_query() {
    let (start, _) = get(&app("gallery"), "/hello?a=1").await;
    assert_eq!(start.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(start.headers["location"], "./hello/?a=1");
}

#[tokio::test]
async fn the_gallery_itself_is_redirected_to_its_slash_when_mounted() {
    let mut scope = http_scope(Method::GET, "/api");
    scope.root_path = "/api".into();
    let (start, _) = request(&app("gallery"), scope).await;
    assert_eq!(start.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(start.headers["location"], "./api/");
}

#[tokio::test]
async fn a_websocket_is_served_with_and_without_a_slash() {
    let gallery = app("gallery");
    let mut first = Exchange::open(&gallery, "/counter").await;
    assert_eq!(first.text().await, "1");
    let mut second = Exchange::open(&gallery, "/counter/").await;
    assert_eq!(second.text().await, "2");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    for path in ["/nosuch", "/nosuch/", "/hell", "//", "//hello/", "*"] {
        let (start, _) = get(&app("gallery"), path).await;
        assert_eq!(start.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_websocket_to_nowhere_is_denied_as_the_server_allows() {
    let mut scope = websocket_scope("/nosuch/");
    let mut exchange = Exchange::start(&app("gallery"), scope.clone());
    assert_eq!(
        exchange.next().await,
        Some(WebSocketClose::default().into())
    );
    exchange.ended().await.unwrap();

    scope.extensions = scope.extensions.with(Extension::DenialResponse);
    let mut exchange = Exchange::start(&app("gallery"), scope);
    let Some(SendEvent::DenialResponseStart(start)) = exchange.next().await else {
        panic!("not denied");
    };
    assert_eq!(start.status, StatusCode::NOT_FOUND);
    exchange.ended().await.unwrap();
}

#[tokio::test]
async fn the_page_names_every_application_and_links_below_itself() {
    let mut scope = http_scope(Method::GET, "/api/");
    scope.root_path = "/api".into();
    scope
        .headers
        .insert("host", "gate.test:81".parse().unwrap());
    let (start, page) = request(&app("gallery"), scope).await;
    assert_eq!(start.headers["content-type"], "text/html; charset=utf-8");
    for entry in all().iter().filter(|entry| entry.name != "gallery") {
        assert!(page.contains(&format!(r#"data-app="{}""#, entry.name)));
    }
    assert!(page.contains(r#"<a href="hello/">hello</a>"#));
    assert!(page.contains("http://gate.test:81/api/hello/"));
    assert!(page.contains("ws://gate.test:81/api/echo/"));
    assert!(!page.contains("{{"), "a placeholder was left");
}

#[tokio::test]
async fn a_host_that_is_not_one_stays_out_of_the_page() {
    let mut scope = http_scope(Method::GET, "/");
    scope.headers.insert("host", "a<b>$(c)".parse().unwrap());
    let (_, page) = request(&app("gallery"), scope).await;
    assert!(!page.contains("a<b>") && !page.contains("$(c)"));
    assert!(page.contains("http://localhost/hello/"));
}

#[tokio::test]
async fn the_gallery_lives_when_every_application_declines() {
    let mut lifespan = Exchange::live(&app("gallery"));
    assert!(matches!(
        lifespan.next().await,
        Some(SendEvent::LifespanStartupComplete(_))
    ));
    lifespan.deliver(ReceiveEvent::LifespanShutdown);
    assert_eq!(
        lifespan.next().await,
        Some(SendEvent::LifespanShutdownComplete)
    );
    lifespan.ended().await.unwrap();
}

fn entry(name: &'static str, app: fn() -> BoxApp) -> Entry {
    let mut entry = *find("hello").unwrap();
    entry.name = name;
    entry.app = app;
    entry
}

fn gallery(entries: &[Entry]) -> BoxApp {
    BoxApp::new(Gallery::new(entries))
}

/// An application with a state: a text.
fn keeper<const TEXT: char>() -> BoxApp {
    BoxApp::new(
        async |scope: Scope, mut receiver: Receiver, sender: Sender| match scope {
            Scope::Lifespan(_) => {
                receiver.receive().await;
                let mut state = State::new();
                state.insert(TEXT);
                sender
                    .send(LifespanStartupComplete::with_state(state))
                    .await?;
                receiver.receive().await;
                let message = format!("{TEXT} would not stop");
                sender.send(LifespanShutdownFailed::new(message)).await?;
                Ok(())
            }
            Scope::Http(scope) => {
                let text = scope.state.get::<char>().map(char::to_string);
                sender.send(callgate::HttpResponseStart::ok()).await?;
                sender
                    .send(callgate::HttpResponseBody::last(text.unwrap_or_default()))
                    .await?;
                Ok(())
            }
            _ => Err(AppError::Unsupported),
        },
    )
}

/// An application whose start-up ends in an error.
fn broken() -> BoxApp {
    BoxApp::new(async |_: Scope, _: Receiver, _: Sender| Err(AppError::failed("no database")))
}

/// An application whose start-up panics.
fn panicking() -> BoxApp {
    async fn panic(_: Scope, _: Receiver, _: Sender) -> Result<(), AppError> {
        panic!("for the test");
    }
    BoxApp::new(panic)
}

/// An application that answers out of turn and does not look at the error.
fn hasty() -> BoxApp {
    BoxApp::new(async |_: Scope, mut receiver: Receiver, sender: Sender| {
        let _ = sender.send(SendEvent::LifespanShutdownComplete).await;
        loop {
            receiver.receive().await;
        }
    })
}

/// An application that returns without an answer.
fn silent() -> BoxApp {
    BoxApp::new(async |_: Scope, _: Receiver, _: Sender| Ok(()))
}

#[tokio::test]
async fn each_application_gets_the_state_that_it_made() {
    let entries = [
        entry("a", keeper::<'A'>),
        entry("b", keeper::<'B'>),
        *find("hello").unwrap(),
    ];
    let gallery = gallery(&entries);
    let mut lifespan = Exchange::live(&gallery);
    let Some(SendEvent::LifespanStartupComplete(complete)) = lifespan.next().await else {
        panic!("not started");
    };
    for (target, text) in [("/a/", "A"), ("/b/", "B")] {
        let mut scope = http_scope(Method::GET, target);
        scope.state = complete.state.clone();
        let (_, content) = request(&gallery, scope).await;
        assert_eq!(content, text);
    }
}

#[tokio::test]
async fn shutdown_goes_in_reverse_and_names_who_failed() {
    let entries = [entry("a", keeper::<'A'>), entry("b", keeper::<'B'>)];
    let mut lifespan = Exchange::live(&gallery(&entries));
    lifespan.next().await;
    lifespan.deliver(ReceiveEvent::LifespanShutdown);
    assert_eq!(
        lifespan.next().await,
        Some(LifespanShutdownFailed::new("b: B would not stop; a: A would not stop").into())
    );
    lifespan.ended().await.unwrap();
}

#[tokio::test]
async fn a_failed_start_up_names_the_application() {
    for (app, reason) in [
        (broken as fn() -> BoxApp, "no database"),
        (panicking, "it panicked"),
        (silent, "LIFE-04"),
        (hasty, "LIFE-12"),
    ] {
        let entries = [entry("a", keeper::<'A'>), entry("b", app)];
        let mut lifespan = Exchange::live(&gallery(&entries));
        let Some(SendEvent::LifespanStartupFailed(failed)) = lifespan.next().await else {
            panic!("not failed");
        };
        let message = failed.message;
        assert!(message.starts_with("b: "), "{message}");
        assert!(message.contains(reason), "{message}");
        lifespan.ended().await.unwrap();
    }
}
