use std::sync::atomic::{AtomicBool, Ordering};

use callgate::{
    App as _, AppError, BoxApp, Feature, LifespanShutdownFailed, LifespanStartupComplete, Receiver,
    Scope, Sender, State,
};
use callgate_apps::gallery::Gallery;
use callgate_apps::{Entry, Settings, all, find};
use callgate_toolkit::respond;
use callgate_toolkit::test_client::{Error, ResponseExt, TestClient};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::log::Log;
use crate::{client, started};

/// Returns the scope of the application `scope` in the gallery.
async fn scope_at(root_path: &'static str, target: &str) -> Value {
    let client = client("gallery").root_path(root_path);
    let response = client.get(target).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().unwrap()
}

#[tokio::test]
async fn a_mounted_application_has_its_prefix_in_the_root_path_and_the_target_as_it_was() {
    let scope = scope_at("", "/scope/caf%C3%A9?a=1").await;
    assert_eq!(scope["root_path"], "/scope");
    assert_eq!(scope["raw_path"], "/scope/caf%C3%A9");
    assert_eq!(scope["query_string"], "a=1");

    let scope = scope_at("/api", "/scope/").await;
    assert_eq!(scope["root_path"], "/api/scope");
    assert_eq!(scope["raw_path"], "/api/scope/");
}

#[tokio::test]
async fn a_name_without_a_slash_is_redirected_relatively_with_its_query() {
    let response = client("gallery").get("/hello?a=1").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"], "./hello/?a=1");
}

#[tokio::test]
async fn the_gallery_itself_is_redirected_to_its_slash_when_mounted() {
    let client = client("gallery");
    let request = client
        .get("/api")
        .with_scope(|scope| scope.root_path = "/api".into());
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(response.headers()["location"], "./api/");
}

#[tokio::test]
async fn a_websocket_is_served_with_and_without_a_slash() {
    let client = started("gallery").await;
    let mut first = client.websocket("/counter").connect().await.unwrap();
    assert_eq!(first.text().await.unwrap(), "1");
    let mut second = client.websocket("/counter/").connect().await.unwrap();
    assert_eq!(second.text().await.unwrap(), "2");
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let client = client("gallery");
    for path in ["/nosuch", "/nosuch/", "/hell", "//", "//hello/"] {
        let log = Log::start();
        let response = client.get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let answer: Value = response.json().unwrap();
        assert_eq!(answer, json!({"error": "there is nothing at this path"}));
        log.has(&format!(
            "DEBUG GET {path} 404: there is nothing at this path"
        ));
    }
    let response = client.options("*").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_websocket_to_an_unknown_path_is_denied_as_the_server_allows() {
    let client = client("gallery");
    let denied = client.websocket("/nosuch/").connect().await.unwrap_err();
    assert_eq!(denied.response().unwrap().status(), StatusCode::NOT_FOUND);
    let refused = client.websocket("/nosuch/").with_scope(|scope| {
        scope.features = scope.features.without(Feature::DenialResponse);
    });
    let refused = refused.connect().await.unwrap_err();
    assert_eq!(refused.response().unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_page_names_every_application_and_links_below_itself() {
    let client = client("gallery").root_path("/api");
    let request = client.get("/").header("host", "gate.test:81");
    let response = request.send().await.unwrap();
    let content_type = &response.headers()["content-type"];
    assert_eq!(content_type, "text/html; charset=utf-8");
    let page = response.text();
    for Entry { name, .. } in all().iter().filter(|entry| entry.name != "gallery") {
        assert!(page.contains(&format!(r#"data-app="{name}""#)));
        assert!(page.contains(&format!(r##"<a href="#{name}">{name}</a>"##)));
    }
    assert!(page.contains(r#"<a href="hello/">hello</a>"#));
    assert!(page.contains("http://gate.test:81/api/hello/"));
    assert!(page.contains("ws://gate.test:81/api/echo/"));
    assert!(!page.contains("{{"), "a placeholder was left");
}

#[tokio::test]
async fn the_page_says_what_callgate_is_and_what_the_named_services_are() {
    let response = client("gallery").get("/").send().await.unwrap();
    let page = response.text();
    assert!(page.contains("Callgate is a protocol between servers and applications"));
    for (name, what_it_is) in [
        ("Autumn", " billing service (Autumn)"),
        ("CloudBlue Connect", " marketplace (CloudBlue Connect)"),
    ] {
        let explained = page.matches(what_it_is).count();
        assert!(explained > 0, "{name} is not on the page");
        assert_eq!(page.matches(name).count(), explained, "{name}: {page}");
    }
}

#[tokio::test]
async fn the_source_of_each_application_is_served_escaped_with_a_number_for_each_line() {
    let client = client("gallery");
    let page = client.get("/").send().await.unwrap();
    for entry in all().iter().filter(|entry| entry.name != "gallery") {
        let path = format!("source/{}", entry.name);
        let link = format!("href=\"{path}\"");
        assert!(page.text().contains(&link), "{link}");
        let response = client.get(format!("/{path}")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let html = response.text();
        let lines = entry.source.lines().count();
        assert_eq!(html.matches("<span id=\"L").count(), lines, "{path}");
        // The source has its own entry, as text.
        let entry_of_itself = format!("name: &quot;{}&quot;,", entry.name);
        assert!(html.contains(&entry_of_itself), "{path}");
        let (_, lines) = html.split_once("<pre").unwrap();
        assert!(!lines.contains("<String>"), "{path}");
    }
    let unknown = client.get("/source/nosuch").send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    let posted = client.post("/source/hello").send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_page_links_to_the_gallery_and_its_source_only_where_the_gallery_serves_it() {
    for (name, path, root) in [
        ("counter", "/", "../"),
        ("chat", "/", "../"),
        ("chat", "/room/", "../../"),
        ("stream", "/", "../"),
        ("chart", "/", "../"),
    ] {
        let links =
            format!(r#"<a href="{root}">Gallery</a> <a href="{root}source/{name}">Source</a>"#);
        let gallery = client("gallery");
        let request = gallery.get(format!("/{name}{path}"));
        let page = request.send().await.unwrap();
        assert!(page.text().contains(&links), "{name}{path}");
        assert!(!page.text().contains("{{"), "{name}{path}");
        let alone = client(name);
        let page = alone.get(path).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{name}{path}");
        assert!(!page.text().contains("Gallery"), "{name}{path}");
        assert!(!page.text().contains("{{"), "{name}{path}");
    }
}

#[tokio::test]
async fn the_page_says_where_a_stand_in_answers() {
    let page = async |settings: &Settings| {
        let client = TestClient::new((find("gallery").unwrap().app)(settings));
        client.get("/").send().await.unwrap().text().to_owned()
    };
    let mut settings = Settings::default();
    let stand_ins = page(&settings).await;
    let answers = |page: &str| {
        page.matches("A stand-in inside this program answers")
            .count()
    };
    // `dashboard`, `customers`, `chart` and `events`.
    assert_eq!(answers(&stand_ins), 4, "{stand_ins}");
    settings.upstream_url = Some("http://127.0.0.1:9/".parse().unwrap());
    let fewer = page(&settings).await;
    assert_eq!(answers(&fewer), 3, "{fewer}");
    assert!(
        !fewer.contains("answers for the upstream service"),
        "{fewer}"
    );
}

#[tokio::test]
async fn the_page_names_the_channel_layer() {
    for (client, sentence) in [
        (client("gallery"), "There is no channel layer for"),
        (
            started("gallery").await,
            "The channel layer is <b>memory</b>",
        ),
    ] {
        let response = client.get("/").send().await.unwrap();
        assert!(response.text().contains(sentence), "{}", response.text());
    }
}

#[tokio::test]
async fn an_invalid_host_is_not_in_the_page() {
    let client = client("gallery").server_address(None);
    let request = client.get("/").header("host", "a<b>$(c)");
    let response = request.send().await.unwrap();
    let page = response.text();
    assert!(!page.contains("a<b>") && !page.contains("$(c)"));
    assert!(page.contains("http://localhost/hello/"));
}

#[tokio::test]
async fn the_gallery_starts_when_every_application_declines_lifespan() {
    let gallery = Gallery::new([find("hello").unwrap()], &Settings::default());
    let client = TestClient::start(gallery).await.unwrap();
    assert!(client.lifespan().is_some());
    let response = client.get("/hello/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    client.shutdown().await.unwrap();
}

fn entry(name: &'static str, app: fn(&Settings) -> BoxApp) -> Entry {
    let mut entry = *find("hello").unwrap();
    entry.name = name;
    entry.app = app;
    entry
}

/// Returns an application whose start-up returns a state, a text, and whose shutdown fails.
fn stateful<const TEXT: char>(_: &Settings) -> BoxApp {
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
                respond::text(text.unwrap_or_default())
                    .send(&sender)
                    .await?;
                Ok(())
            }
            _ => Err(AppError::Unsupported),
        },
    )
}

/// Returns an application whose start-up ends in an error.
fn broken(_: &Settings) -> BoxApp {
    BoxApp::new(async |_: Scope, _: Receiver, _: Sender| Err(AppError::failed("no database")))
}

/// Returns an application whose start-up panics.
fn panicking(_: &Settings) -> BoxApp {
    BoxApp::new(async |scope: Scope, _: Receiver, _: Sender| {
        assert!(!matches!(scope, Scope::Lifespan(_)), "no settings");
        Ok(())
    })
}

#[tokio::test]
async fn each_application_gets_the_state_that_it_made_and_is_shut_down() {
    let entries = [
        entry("a", stateful::<'A'>),
        entry("b", stateful::<'B'>),
        *find("hello").unwrap(),
    ];
    let client = TestClient::start(Gallery::new(&entries, &Settings::default()))
        .await
        .unwrap();
    for (target, text) in [("/a/", "A"), ("/b/", "B")] {
        let response = client.get(target).send().await.unwrap();
        assert_eq!(response.text(), text);
    }
    let Err(Error::Lifespan(reason)) = client.shutdown().await else {
        panic!("they were shut down");
    };
    assert_eq!(reason, "/b: B would not stop; /a: A would not stop");
}

#[tokio::test]
async fn an_application_whose_start_up_fails_is_unavailable_and_the_others_are_served() {
    let entries = [
        entry("a", stateful::<'A'>),
        entry("b", broken),
        entry("c", panicking),
        *find("hello").unwrap(),
    ];
    let log = Log::start();
    let gallery = Gallery::new(&entries, &Settings::default());
    let client = TestClient::start(gallery).await.unwrap();
    log.has("ERROR b is unavailable: no database");
    log.has("ERROR c is unavailable: the application panicked: no settings");
    for name in ["a", "hello"] {
        let response = client.get(format!("/{name}/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{name}");
    }
    let error = json!({"error": "this application is unavailable: it could not start"});
    for name in ["b", "c"] {
        for method in [Method::GET, Method::POST] {
            let target = format!("/{name}/some/path");
            let response = client.method(method, target).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
            assert_eq!(response.json::<Value>().unwrap(), error, "{name}");
        }
        let target = format!("/{name}/ws");
        let denied = client.websocket(&*target).connect().await.unwrap_err();
        let response = denied.response().unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
        assert_eq!(response.json::<Value>().unwrap(), error, "{name}");
        let refused = client.websocket(&*target).with_scope(|scope| {
            scope.features = scope.features.without(Feature::DenialResponse);
        });
        let refused = refused.connect().await.unwrap_err();
        assert_eq!(refused.response().unwrap().status(), StatusCode::FORBIDDEN);
    }
    // The page does not show the reason, which may name hosts and files.
    let response = client.get("/").send().await.unwrap();
    let page = response.text();
    assert!(!page.contains("no database"), "{page}");
    for (name, is_unavailable) in [("a", false), ("b", true), ("c", true), ("hello", false)] {
        let card = format!(r#"<article id="{name}" data-app="{name}" class="card unavailable">"#);
        assert_eq!(page.contains(&card), is_unavailable, "{name}: {page}");
        let link = format!(r#"href="{name}/"#);
        assert_eq!(page.contains(&link), !is_unavailable, "{name}: {page}");
    }
    // Only an application that started is shut down.
    let Err(Error::Lifespan(reason)) = client.shutdown().await else {
        panic!("`a` was shut down");
    };
    assert_eq!(reason, "/a: A would not stop");
}

#[tokio::test]
async fn an_application_is_available_again_when_a_later_start_up_succeeds() {
    static IS_DOWN: AtomicBool = AtomicBool::new(true);
    fn sometimes(settings: &Settings) -> BoxApp {
        let available = stateful::<'A'>(settings);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let available = available.clone();
            async move {
                if matches!(scope, Scope::Lifespan(_)) && IS_DOWN.load(Ordering::Relaxed) {
                    return Err(AppError::failed("no database"));
                }
                available.call(scope, receiver, sender).await
            }
        })
    }
    let gallery = BoxApp::new(Gallery::new(&[entry("a", sometimes)], &Settings::default()));
    let client = TestClient::start(gallery.clone()).await.unwrap();
    let response = client.get("/a/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    client.shutdown().await.unwrap();

    IS_DOWN.store(false, Ordering::Relaxed);
    let client = TestClient::start(gallery).await.unwrap();
    assert_eq!(client.get("/a/").send().await.unwrap().text(), "A");
    let response = client.get("/").send().await.unwrap();
    let page = response.text();
    assert!(!page.contains("unavailable\">"), "{page}");
}
