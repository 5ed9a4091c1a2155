//! The options of the suite, and its results for applications that keep every rule.

use callgate::{
    App, AppError, Feature, HttpResponseBody, HttpResponsePathSend, HttpResponseStart,
    LifespanShutdownComplete, LifespanStartupComplete, ReceiveEvent, Receiver, Scope, SendError,
    SendEvent, Sender, State, WebSocketAccept, WebSocketClose,
};
use callgate_conformance::{AppOptions, AppRequests, AppSuite, Verdict, check_app, scope_probe};
use http::{Method, StatusCode};

use crate::good::{assert_good, echo, hello};
use crate::support::{
    answer, content, echo_messages, http, ids, offers, options, report, wait_for,
};

/// Every exchange has the state that start-up has returned.
#[test]
fn state_reaches_the_exchanges() {
    struct Greeting(&'static str);
    assert_good(|| {
        |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
            match scope {
                Scope::Http(scope) => {
                    let greeting = scope.state.get::<Greeting>().expect("a greeting");
                    Ok(answer(&sender, greeting.0).await?)
                }
                Scope::WebSocket(scope) => {
                    scope.state.get::<Greeting>().expect("a greeting");
                    echo_messages(receiver, sender).await
                }
                Scope::Lifespan(_) => {
                    wait_for(&mut receiver, ReceiveEvent::LifespanStartup).await;
                    let mut state = State::new();
                    state.insert(Greeting("Hello"));
                    let complete = LifespanStartupComplete::with_state(state);
                    sender.send(complete).await?;
                    wait_for(&mut receiver, ReceiveEvent::LifespanShutdown).await;
                    Ok(sender
                        .send(SendEvent::LifespanShutdownComplete(
                            LifespanShutdownComplete::new(),
                        ))
                        .await?)
                }
                _ => Err(AppError::Unsupported),
            }
        }
    });
}

#[test]
fn a_mount_that_keeps_the_target_passes() {
    let mount = |scope: Scope, receiver: Receiver, sender: Sender| async move {
        let mut inside = scope.clone();
        let scope = http(scope)?;
        if !scope.route_path().starts_with("/probe/") {
            return hello(inside, receiver, sender).await;
        }
        inside.set_root_path(format!("{}/probe", scope.root_path));
        scope_probe(inside, receiver, sender).await
    };
    let report = check_app(move || mount, options().mounts_probe_at("/probe"));
    assert!(report.broken_rules().is_empty(), "{report}");
    let finding = report
        .findings
        .iter()
        .find(|it| it.check.rule.id == "SCOPE-16");
    assert!(
        matches!(finding.unwrap().verdict, Verdict::Passed),
        "{report}"
    );
}

#[test]
fn requests_are_made_as_the_options_say() {
    let picky = |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
        let scope = http(scope)?;
        let is_asked = scope.path() == "/orders"
            && [Method::PUT, Method::HEAD].contains(&scope.method)
            && scope.headers["authorization"] == "Bearer test";
        let Some((octets, _)) = content(&mut receiver).await else {
            return Ok(());
        };
        assert!(is_asked && (octets.is_empty() || octets.starts_with(b"{}")));
        Ok(answer(&sender, "done").await?)
    };
    let options = AppOptions::new()
        .method(Method::PUT)
        .path("/orders?page=1")
        .header("authorization", "Bearer test")
        .body("{}");
    let report = check_app(move || picky, options);
    // The application panics at the content of the flood.
    assert_eq!(ids(&report), ["CORE-19"], "{report}");
    assert!(report.to_string().contains("PUT"));
}

/// The server and the test client of the toolkit do the same.
#[test]
fn a_path_send_of_no_regular_file_fails_and_the_exchange_continues() {
    let sends = |path: &'static str| {
        move |scope: Scope, _: Receiver, sender: Sender| async move {
            let scope = http(scope)?;
            sender.send(HttpResponseStart::ok()).await?;
            if offers(&scope, Feature::PathSend) {
                match sender.send(HttpResponsePathSend::new(path)).await {
                    Ok(()) => panic!("{path} was taken for a file"),
                    Err(SendError::File { .. }) => {}
                    Err(other) => return Err(other.into()),
                }
            }
            Ok(sender.send(HttpResponseBody::last("content")).await?)
        }
    };
    for path in [env!("CARGO_MANIFEST_DIR"), "/dev/null"] {
        assert_good(move || sends(path));
    }
}

async fn without_a_database(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Lifespan(_) = scope else {
        panic!("the application is called although its start-up failed");
    };
    let failed = callgate::LifespanStartupFailed::new("no database");
    Ok(sender.send(failed).await?)
}

#[test]
fn an_application_whose_start_up_fails_gets_no_requests() {
    let suite = AppSuite::new(|| without_a_database, options());
    assert_eq!(suite.startup_failure(), None);
    let report = suite.report();
    assert!(report.broken_rules().is_empty(), "{report}");
    let reason = "its start-up failed: no database";
    assert!(report.to_string().contains(reason), "{report}");
    assert_eq!(suite.startup_failure().as_deref(), Some(reason));
}

/// Returns the message of the test that fails when the suite has not exercised an application.
fn gap<A: App>(make: impl Fn() -> A + Send + Sync + 'static, options: AppOptions) -> String {
    let suite = AppSuite::new(make, options);
    let assert_exercised = std::panic::AssertUnwindSafe(|| suite.assert_exercised());
    let panic = std::panic::catch_unwind(assert_exercised).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap().clone();
    let gap = suite.gap().unwrap();
    assert_eq!(
        text,
        format!("the checks say little about `application`: {gap}")
    );
    let report = suite.report_on(|rule| rule.id == "HTTP-14").to_string();
    let expected = format!("this says little, because {gap}\n");
    assert!(report.ends_with(&expected), "{report}");
    gap
}

#[test]
fn one_test_fails_when_the_start_up_fails() {
    let suite = AppSuite::new(|| without_a_database, options());
    for id in ["CORE-20", "HTTP-14", "WS-03", "EXT-01", "LIFE-04"] {
        suite.assert(id);
    }
    let expected = "its start-up failed: no database; an application without start-up work returns \
                    `Err(AppError::Unsupported)` for a lifespan scope, before it receives anything";
    assert_eq!(gap(|| without_a_database, options()), expected);
}

async fn not_found(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => {
            sender
                .send(HttpResponseStart::new(StatusCode::NOT_FOUND))
                .await?;
            Ok(sender.send(HttpResponseBody::end()).await?)
        }
        Scope::WebSocket(_) => Ok(sender.send(WebSocketClose::new(1008)).await?),
        _ => Err(AppError::Unsupported),
    }
}

#[test]
fn an_application_that_refuses_all_that_it_is_asked_for_is_not_exercised() {
    let expected = "it refused all that the suite asked for: `GET /` with 404, `POST /` with 404, the WebSocket \
                    `/` with 403; tell the suite what it serves (`AppOptions::requests` or `path`, \
                    on the command line `--requests` or `--path`), or that it is to refuse all (`allow_errors`, \
                    `--allow-errors`)";
    assert_eq!(gap(|| not_found, options()), expected);
    let asked = options()
        .path("/a?b")
        .method(Method::PUT)
        .websocket_path("/ws");
    let gap = gap(|| not_found, asked);
    assert!(
        gap.contains("`PUT /a?b` with 404, `PUT /a?b` with 404, the WebSocket `/ws` with 403;"),
        "{gap}"
    );
    AppSuite::new(|| not_found, options().allow_errors(true)).assert_exercised();
}

#[test]
fn an_application_that_fails_at_each_request_is_not_exercised() {
    let fails = |scope: Scope, _: Receiver, _: Sender| async move {
        scope.into_http()?;
        Err::<(), _>(AppError::failed("no database"))
    };
    let gap = gap(move || fails, options());
    let asked = "it refused all that the suite asked for: `GET /` with the error `no database`, \
                 `POST /` with the error `no database`; ";
    assert!(gap.starts_with(asked), "{gap}");
}

#[test]
fn an_application_that_serves_one_kind_of_scope_is_exercised() {
    let http_only = |scope: Scope, _: Receiver, sender: Sender| async move {
        scope.into_http()?;
        sender.send(HttpResponseStart::ok()).await?;
        Ok(sender.send(HttpResponseBody::end()).await?)
    };
    AppSuite::new(move || http_only, options()).assert_exercised();
    let websocket_only = |scope: Scope, mut receiver: Receiver, sender: Sender| async move {
        if let Scope::Http(_) = scope {
            return not_found(scope, receiver, sender).await;
        }
        scope.into_websocket()?;
        sender.send(WebSocketAccept::new()).await?;
        while !matches!(
            receiver.receive().await,
            ReceiveEvent::WebSocketDisconnect(_)
        ) {}
        Ok(())
    };
    AppSuite::new(move || websocket_only, options()).assert_exercised();
    let nothing = |_: Scope, _: Receiver, _: Sender| async { Err(AppError::Unsupported) };
    AppSuite::new(move || nothing, options()).assert_exercised();
}

#[test]
#[should_panic(expected = "cannot check `application`: its start-up failed: no database")]
fn check_app_panics_if_the_start_up_fails() {
    let _ = report(|| without_a_database);
}

#[test]
fn twenty_runs_give_twenty_equal_reports() {
    let json = |run: &dyn Fn() -> callgate_conformance::Report| {
        run().in_format(callgate_conformance::Format::Json)
    };
    let runs: [&dyn Fn() -> callgate_conformance::Report; 2] = [&|| report(|| echo), &|| {
        report(|| crate::mutants::start_twice)
    }];
    for run in runs {
        let first = json(run);
        for _ in 1..20 {
            assert_eq!(json(run), first);
        }
    }
}

/// Serves `/orders`, and answers 404 to all other paths. One path sends a field of the connection.
async fn shop(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let Scope::Http(scope) = scope else {
        return not_found(scope, receiver, sender).await;
    };
    let start = match scope.uri.path() {
        "/orders" => HttpResponseStart::ok(),
        "/broken" => HttpResponseStart::ok().header("connection", "close"),
        "/private" if scope.headers.contains_key("authorization") => HttpResponseStart::ok(),
        _ => HttpResponseStart::new(StatusCode::NOT_FOUND),
    };
    while let ReceiveEvent::HttpRequestBody(body) = receiver.receive().await
        && body.more_body
    {}
    sender.send(start).await?;
    Ok(sender.send(HttpResponseBody::end()).await?)
}

/// Returns the options with these requests.
fn asking(requests: &str) -> AppOptions {
    options().requests(requests.parse().unwrap())
}

/// Returns the lines of the report on a rule.
fn lines_of(options: AppOptions, id: &str) -> String {
    let suite = AppSuite::new(|| shop, options);
    suite.report_on(|rule| rule.id == id).to_string()
}

#[test]
fn each_request_of_a_list_is_checked() {
    let report = lines_of(asking("GET /orders\n###\nGET /broken"), "HTTP-18");
    assert!(report.contains("HTTP-18  MUST  FAILED"), "{report}");
    assert!(report.contains("seen      `/broken`: "), "{report}");
    let report = lines_of(asking("GET /orders"), "HTTP-18");
    assert!(report.contains("HTTP-18  MUST  passed"), "{report}");
}

#[test]
fn a_request_of_a_list_that_is_refused_is_a_gap() {
    let suite = AppSuite::new(|| shop, asking("GET /orders\n###\nPUT /order"));
    let gap = suite.gap().unwrap();
    assert!(
        gap.starts_with("it refused all that the suite asked for: `PUT /order` with 404, "),
        "{gap}"
    );
    assert!(!gap.contains("/orders"), "{gap}");
}

#[test]
fn a_rule_that_nothing_exercises_is_marked() {
    let marked = "nothing exercises it: refused were `GET /` with 404, `POST /` with 404";
    let report = lines_of(options(), "HTTP-18");
    assert!(report.contains(marked), "{report}");
    assert!(report.contains("0 passed"), "{report}");
    // The requests are served, and the WebSockets are not.
    let report = lines_of(asking("GET /orders"), "WS-03");
    assert!(
        report.contains("nothing exercises it: refused were the WebSocket `/orders` with 403"),
        "{report}"
    );
    let report = lines_of(options().allow_errors(true), "HTTP-18");
    assert!(report.contains("HTTP-18  MUST  passed"), "{report}");
}

#[test]
fn a_list_of_requests_is_found_in_a_recording() {
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/private","headers":[["authorization","<masked>"]]}}
{"exchange":1,"ended":"returned"}
{"exchange":2,"called":{"type":"lifespan"}}
"#;
    let suite = AppSuite::new(|| shop, asking(recording));
    let gap = suite.gap().unwrap();
    assert!(gap.contains("`GET /private` with 404"), "{gap}");
    let options = asking(recording).header("authorization", "Bearer test");
    AppSuite::new(|| shop, options).assert_exercised();
    for (empty, reason) in [
        ("", "there is no request"),
        ("{}", "line 1: it contains no event"),
    ] {
        let error = empty.parse::<AppRequests>().unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
}
