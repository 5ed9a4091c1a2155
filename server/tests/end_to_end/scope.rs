//! What the server says in a scope.

use crate::support::{Response, Server, config, get, http, tell, whole};
use callgate::{
    AppError, Feature, Features, HttpScope, LifespanShutdownComplete, LifespanStartupComplete,
    Receiver, Scheme, Scope, Sender, State,
};
use http::Version;

/// The scope that a request is served with, and the response.
async fn served_with(config: callgate_server::Config, request: &str) -> (HttpScope, Response) {
    let (teller, mut told) = tell();
    let server = Server::with(
        config,
        http(teller, async |teller, scope, _, sender| {
            teller.tell(scope);
            whole(&sender, "").await
        }),
    );
    let response = server.ask(request).await;
    let scope = told.next().await;
    server.finish().await;
    (scope, response)
}

async fn scope_of(request: &str) -> HttpScope {
    served_with(config(), request).await.0
}

/// The status of the answer to a request that the application must not see.
async fn status_without_a_call(request: &str) -> u16 {
    let (teller, told) = tell();
    let server = Server::start(http(teller, async |teller, _, _, sender| {
        teller.tell(());
        whole(&sender, "").await
    }));
    let response = server.ask(request).await;
    server.finish().await;
    assert!(told.is_empty(), "the application has been called");
    response.status
}

#[tokio::test]
async fn scope_01_the_method_is_passed_as_received() {
    for method in ["GET", "DELETE", "PURGE", "get", "X-1!"] {
        let scope = scope_of(&format!("{method} / HTTP/1.1\r\nhost: test\r\n\r\n")).await;
        assert_eq!(scope.method.as_str(), method);
    }
}

#[tokio::test]
async fn scope_02_the_target_is_in_origin_form() {
    assert_eq!(scope_of(&get("/a/b?c=d")).await.uri, "/a/b?c=d");
    let scope = scope_of("GET http://test:81/a?b HTTP/1.1\r\nhost: test:81\r\n\r\n").await;
    assert_eq!(scope.uri, "/a?b");
    assert_eq!((scope.uri.scheme(), scope.uri.authority()), (None, None));
    let scope = scope_of("GET http://test HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(scope.uri, "/");
}

#[tokio::test]
async fn scope_03_an_absolute_target_replaces_the_host() {
    let scope = scope_of("GET http://other.example:81/ HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(scope.headers.get_all("host").iter().count(), 1);
    assert_eq!(scope.headers["host"], "other.example:81");
}

#[tokio::test]
async fn scope_04_the_target_of_options_is_an_asterisk() {
    let scope = scope_of("OPTIONS * HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!((scope.raw_path(), scope.method.as_str()), ("*", "OPTIONS"));
}

#[tokio::test]
async fn scope_05_bad_percent_encoding_is_answered_400() {
    for target in ["/%", "/%4", "/%zz/", "/a%2", "/%%41"] {
        assert_eq!(status_without_a_call(&get(target)).await, 400, "{target}");
    }
}

#[tokio::test]
async fn scope_06_the_raw_path_is_unchanged_and_the_path_decoded() {
    let scope = scope_of(&get("/caf%C3%A9%2f/%FF//../x")).await;
    assert_eq!(scope.raw_path(), "/caf%C3%A9%2f/%FF//../x");
    assert_eq!(scope.path(), "/café//\u{fffd}//../x");
}

#[tokio::test]
async fn scope_07_the_query_is_as_received() {
    assert_eq!(
        scope_of(&get("/?a=%41&b=%zz+c?d")).await.query(),
        "a=%41&b=%zz+c?d"
    );
    assert_eq!(scope_of(&get("/")).await.query(), "");
}

#[tokio::test]
async fn scope_08_repeated_fields_stay_separate_and_in_order() {
    let scope = scope_of(
        "GET / HTTP/1.1\r\nHost: test\r\nX-Many: one\r\nAccept: a, b\r\nx-many: two\r\nX-MANY: one\r\n\
         Cookie: a=1\r\nCookie: b=2\r\n\r\n",
    )
    .await;
    let all = |name: &str| {
        let values = scope.headers.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(all("x-many"), ["one", "two", "one"]);
    assert_eq!(all("accept"), ["a, b"]);
    assert_eq!(all("cookie"), ["a=1", "b=2"]);
    assert_eq!(all("host"), ["test"]);
    assert_eq!(scope.headers.len(), 7);
}

#[tokio::test]
async fn scope_12_the_version_is_that_of_the_request() {
    assert_eq!(scope_of(&get("/")).await.version, Version::HTTP_11);
    let scope = scope_of("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(scope.version, Version::HTTP_10);
}

#[tokio::test]
async fn scope_13_the_scheme_of_a_connection_in_the_clear_is_http() {
    let scope = scope_of("GET https://test/ HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert_eq!(scope.scheme, Scheme::Http);
}

#[tokio::test]
async fn scope_14_both_addresses_are_passed() {
    let (teller, mut told) = tell();
    let server = Server::start(http(teller, async |teller, scope, _, sender| {
        teller.tell((scope.client, scope.server));
        whole(&sender, "").await
    }));
    let mut client = server.connect().await;
    client.send(get("/")).await;
    client.response().await;
    let own = client.stream.local_addr().unwrap();
    assert_eq!(told.next().await, (Some(own), Some(server.address)));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn scope_15_a_root_path_stands_in_front_of_the_path() {
    let mut mounted = config();
    mounted.proxy.root_path = "/api".into();
    let (scope, _) = served_with(mounted, &get("/users%20?q")).await;
    assert_eq!(scope.root_path, "/api");
    assert_eq!(scope.raw_path(), "/api/users%20");
    assert_eq!(scope.route_path(), "/users ");
    assert_eq!(scope.query(), "q");
}

#[tokio::test]
async fn scope_17_and_18_the_state_is_shared_and_changes_to_it_are_not() {
    async fn app(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Lifespan(_) => {
                receiver.receive().await;
                let mut state = State::new();
                state.insert("from start-up");
                let complete = LifespanStartupComplete::with_state(state);
                sender.send(complete).await?;
                receiver.receive().await;
                sender.send(LifespanShutdownComplete::new()).await?;
                Ok(())
            }
            Scope::Http(mut scope) => {
                let seen = format!(
                    "{:?} {:?}",
                    scope.state.get::<&str>(),
                    scope.state.get::<u8>()
                );
                scope.state.insert(1_u8);
                scope.state.insert("changed");
                whole(&sender, seen).await
            }
            _ => Err(AppError::Unsupported),
        }
    }
    let server = Server::start(app);
    let mut client = server.connect().await;
    for _ in 0..2 {
        client.send(get("/")).await;
        assert_eq!(
            client.response().await.body,
            r#"Some("from start-up") None"#
        );
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn scope_19_and_ext_15_trailers_are_offered_to_those_who_take_them() {
    let http10 = Features::NONE
        .with(Feature::PathSend)
        .with(Feature::Shutdown);
    let without = http10.with(Feature::EarlyHints);
    let with = without.with(Feature::ResponseTrailers);
    for (request, offered) in [
        (get("/"), without),
        (
            "GET / HTTP/1.1\r\nhost: test\r\nte: gzip, Trailers\r\nconnection: te\r\n\r\n".into(),
            with,
        ),
        (
            "GET / HTTP/1.1\r\nhost: test\r\nte: gzip\r\nconnection: te\r\n\r\n".into(),
            without,
        ),
        ("GET / HTTP/1.0\r\nte: trailers\r\n\r\n".into(), http10),
    ] {
        assert_eq!(scope_of(&request).await.features, offered, "{request}");
    }
}

#[tokio::test]
async fn scope_20_a_request_without_one_host_is_answered_400() {
    for fields in ["", "host: a\r\nhost: b\r\n", "host: a\r\nhost: a\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(status_without_a_call(&request).await, 400, "{fields}");
    }
    assert_eq!(scope_of("GET / HTTP/1.0\r\n\r\n").await.headers.len(), 0);
}

#[tokio::test]
async fn scope_21_connect_is_answered_501() {
    let request = "CONNECT test:80 HTTP/1.1\r\nhost: test:80\r\n\r\n";
    assert_eq!(status_without_a_call(request).await, 501);
}
