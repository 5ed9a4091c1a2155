//! Recording and replaying exchanges.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, LifespanShutdownComplete,
    LifespanStartupComplete, Message, ReceiveEvent, Receiver, Scope, SendEvent, Sender, State,
    WebSocketAccept,
};
use callgate_conformance::{AppOptions, Recorder, ReplayError, ReplayOptions, check_app, replay};
use tokio::task::yield_now;

/// A file in memory.
#[derive(Clone, Default)]
struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl Write for MemoryFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Greeting(&'static str);

/// Sends the greeting and the content of the request, or the length of each message.
async fn app(
    greeting: &'static str,
    scope: Scope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    match scope {
        Scope::Http(scope) => {
            let greeting = scope.state.get::<Greeting>().expect("a greeting").0;
            sender
                .send(HttpResponseStart::ok().header("date", "today"))
                .await?;
            sender.send(HttpResponseBody::part(greeting)).await?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::HttpRequestBody(request) => {
                        let more = request.more_body;
                        sender
                            .send(HttpResponseBody::new(request.body, more))
                            .await?;
                        if !more {
                            return Ok(());
                        }
                    }
                    ReceiveEvent::HttpDisconnect => return Ok(()),
                    _ => {}
                }
            }
        }
        Scope::WebSocket(_) => {
            sender.send(WebSocketAccept::new()).await?;
            loop {
                match receiver.receive().await {
                    ReceiveEvent::WebSocketReceive(message) => {
                        let answer = Message::text(format!("{greeting} {}", message.len()));
                        sender.send(answer).await?;
                    }
                    ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                    _ => {}
                }
            }
        }
        Scope::Lifespan(_) => loop {
            match receiver.receive().await {
                ReceiveEvent::LifespanStartup => {
                    let mut state = State::new();
                    state.insert(Greeting(greeting));
                    sender
                        .send(LifespanStartupComplete::with_state(state))
                        .await?;
                }
                ReceiveEvent::LifespanShutdown => {
                    sender
                        .send(SendEvent::LifespanShutdownComplete(
                            LifespanShutdownComplete::new(),
                        ))
                        .await?;
                    return Ok(());
                }
                _ => {}
            }
        },
        _ => Err(AppError::Unsupported),
    }
}

async fn hello(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    app("hello", scope, receiver, sender).await
}

async fn servus(scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    app("servus", scope, receiver, sender).await
}

/// Records all exchanges of the application suite between one start-up and its shutdown.
fn recording() -> Vec<u8> {
    // Each application that the suite makes has a file; some applications have only a lifespan.
    let files: Arc<Mutex<Vec<MemoryFile>>> = Arc::default();
    let made = files.clone();
    let make = move || {
        let file = MemoryFile::default();
        made.lock().unwrap().push(file.clone());
        Recorder::new(hello, file)
    };
    let report = check_app(make, AppOptions::new().memory(64 * 1024));
    assert!(report.broken_rules().is_empty(), "{report}");
    let files = files.lock().unwrap();
    let octets = files.iter().map(|file| file.0.lock().unwrap().clone());
    octets.max_by_key(Vec::len).unwrap()
}

#[test]
fn a_recording_says_what_happened_line_by_line() {
    let recording = recording();
    let lines: Vec<serde_json::Value> = recording
        .split(|octet| *octet == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(lines.len() > 100);
    assert_eq!(lines[0]["called"]["type"], "lifespan");
    let find = |key: &str| lines.iter().find(|line| !line[key].is_null()).unwrap();
    assert_eq!(find("received")["received"]["type"], "lifespan.startup");
    assert_eq!(find("sent")["sent"]["type"], "lifespan.startup.complete");
    assert_eq!(find("failed")["failed"], "disconnected");
    assert_eq!(find("ended")["exchange"], 2);
}

#[test]
fn the_same_application_answers_a_recording_in_the_same_way() {
    let recording = recording();
    let replay = replay(&recording[..], || hello, ReplayOptions::new()).unwrap();
    assert!(replay.exchanges > 50, "{replay}");
    assert!(replay.differences.is_empty(), "{replay}");
}

#[test]
fn the_responses_of_another_application_differ() {
    let recording = recording();
    let replay = replay(&recording[..], || servus, ReplayOptions::new()).unwrap();
    let whats: Vec<_> = replay.differences.iter().map(|it| it.what).collect();
    assert!(
        whats.contains(&"content") && whats.contains(&"event"),
        "{replay}"
    );
    let shown = replay.to_string();
    assert!(
        shown.contains("hello") && shown.contains("servus"),
        "{shown}"
    );
}

#[test]
fn an_invalid_line_is_reported_with_its_number() {
    let recording = "{\"exchange\":1,\"called\":{\"type\":\"lifespan\"}}\n\nnonsense\n";
    let error = replay(recording.as_bytes(), || hello, ReplayOptions::new()).unwrap_err();
    assert!(matches!(error, ReplayError::Line(3, _)), "{error}");
    assert_eq!(
        error.to_string(),
        "line 3 of the recording: expected ident at column 2"
    );
}

#[test]
fn a_recording_without_an_exchange_is_an_error() {
    for recording in ["", "\n\n", "{\"exchange\":1,\"ended\":\"returned\"}\n"] {
        let error = replay(recording.as_bytes(), || hello, ReplayOptions::new()).unwrap_err();
        assert!(
            matches!(error, ReplayError::Empty),
            "{recording:?}: {error}"
        );
    }
}

#[test]
fn a_line_without_an_event_is_invalid() {
    for line in ["{}", r#"{"name":"package"}"#, r#"{"exchange":1}"#] {
        let error = replay(line.as_bytes(), || hello, ReplayOptions::new()).unwrap_err();
        assert!(matches!(error, ReplayError::Line(1, _)), "{line}: {error}");
    }
}

#[test]
fn the_division_of_content_and_ignored_fields_make_no_difference() {
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"POST","scheme":"http","raw_path":"/"}}
{"exchange":1,"received":{"type":"http.request","body":"content"}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["x-request-id","7"],["date","then"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"hellocontent"}}
{"exchange":1,"ended":"returned"}
"#;
    let ignoring = ReplayOptions::new().ignore("x-request-id".parse().unwrap());
    let same = replay(recording.as_bytes(), || hello, ignoring).unwrap();
    assert!(same.differences.is_empty(), "{same}");
    let other = replay(recording.as_bytes(), || hello, ReplayOptions::new()).unwrap();
    assert_eq!(other.differences[0].what, "header fields", "{other}");
}

/// Sends from time to time while it receives, until the client disconnects.
async fn ticking(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    /// Waits without a clock: everything else that can run has run long before this ends.
    async fn a_while() {
        for _ in 0..1000 {
            yield_now().await;
        }
    }
    let (first, tick): (SendEvent, SendEvent) = match scope {
        Scope::Http(_) => {
            let start = HttpResponseStart::ok();
            (start.into(), HttpResponseBody::part("tick").into())
        }
        Scope::WebSocket(_) => {
            let accept = WebSocketAccept::new();
            (accept.into(), Message::text("tick").into())
        }
        _ => return Err(AppError::Unsupported),
    };
    sender.send(first).await?;
    loop {
        tokio::select! {
            event = receiver.receive() => match event {
                ReceiveEvent::HttpDisconnect | ReceiveEvent::WebSocketDisconnect(_) => return Ok(()),
                _ => {}
            },
            () = a_while() => sender.send(tick.clone()).await?,
        }
    }
}

#[test]
fn a_client_disconnects_from_a_stream_no_sooner_than_in_the_recording() {
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/"}}
{"exchange":1,"received":{"type":"http.request"}}
{"exchange":1,"sent":{"type":"http.response.start","status":200}}
{"exchange":1,"sent":{"type":"http.response.body","body":"tick","more_body":true}}
{"exchange":1,"sent":{"type":"http.response.body","body":"tick","more_body":true}}
{"exchange":1,"received":{"type":"http.disconnect"}}
{"exchange":1,"ended":"returned"}
{"exchange":2,"called":{"type":"websocket","http_version":"1.1","scheme":"ws","raw_path":"/"}}
{"exchange":2,"received":{"type":"websocket.connect"}}
{"exchange":2,"sent":{"type":"websocket.accept"}}
{"exchange":2,"sent":{"type":"websocket.send","text":"tick"}}
{"exchange":2,"sent":{"type":"websocket.send","text":"tick"}}
{"exchange":2,"received":{"type":"websocket.disconnect","code":1000}}
{"exchange":2,"ended":"returned"}
"#;
    let replay = replay(recording.as_bytes(), || ticking, ReplayOptions::new()).unwrap();
    assert_eq!(replay.exchanges, 2);
    assert!(replay.differences.is_empty(), "{replay}");
}

#[test]
fn an_exchange_continues_when_the_recording_cannot_be_written() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let options = AppOptions::new().memory(64 * 1024);
    let report = check_app(|| Recorder::new(hello, Full), options);
    assert!(report.broken_rules().is_empty(), "{report}");
}
