//! The lines of a recorder, and the file that it writes to.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use callgate::{
    App as _, AppError, Channel, HttpRequestBody, HttpResponseBody, HttpResponseStart,
    HttpResponseTrailers, HttpScope, ReceiveEvent, Receiver, Scope, SendError, SendEvent,
    SendProgress, Sender, WebSocketAccept, WebSocketScope,
};
use callgate_conformance::{MASKED, RecordFile, Recorder, ReplayOptions, replay};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// A file in memory.
#[derive(Clone, Default)]
struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl MemoryFile {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for MemoryFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that yields these events, and that is ready for each sent event at the fifth poll.
#[derive(Default)]
struct SlowServer {
    events: Mutex<Vec<ReceiveEvent>>,
    polls: Mutex<usize>,
}

impl Channel for SlowServer {
    fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
        let event = self.events.lock().unwrap().pop();
        event.map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut polls = self.polls.lock().unwrap();
        *polls += 1;
        if polls.is_multiple_of(5) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn start_send(&self, _: SendEvent) -> Result<SendProgress, SendError> {
        Ok(SendProgress::Sent)
    }
}

/// Records one exchange of `app` with `server`.
async fn record<A: callgate::App>(
    recorder: Recorder<A>,
    scope: impl Into<Scope>,
    events: Vec<ReceiveEvent>,
) {
    let server = Arc::new(SlowServer {
        events: Mutex::new(events.into_iter().rev().collect()),
        ..SlowServer::default()
    });
    let (receiver, sender) = (Receiver::new(server.clone()), Sender::new(server));
    recorder.call(scope.into(), receiver, sender).await.unwrap();
}

const SECRETS: [&str; 6] = [
    "Bearer 5ecret",
    "Basic 5ecret",
    "session=5ecret",
    "login=5ecret",
    "key=5ecret",
    "token=5ecret",
];

fn with_credentials(headers: &mut HeaderMap) {
    let value = HeaderValue::from_static;
    headers.insert("authorization", value("Bearer 5ecret"));
    headers.insert("proxy-authorization", value("Basic 5ecret"));
    headers.append("cookie", value("session=5ecret"));
    headers.insert("host", value("localhost"));
    let mut key = value("key=5ecret");
    key.set_sensitive(true);
    headers.insert("x-api-key", key);
}

/// Responds with `set-cookie` fields in the head and in the trailer fields.
async fn log_in(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    match scope {
        Scope::Http(_) => {
            receiver.receive().await;
            let start = HttpResponseStart::ok()
                .header("set-cookie", "login=5ecret")
                .header("content-type", "text/plain")
                .with_trailers();
            sender.send(start).await?;
            sender.send(HttpResponseBody::last("hello")).await?;
            let mut trailers = HeaderMap::new();
            trailers.insert("set-cookie", HeaderValue::from_static("token=5ecret"));
            sender.send(HttpResponseTrailers::last(trailers)).await?;
        }
        Scope::WebSocket(_) => {
            let accept = WebSocketAccept::new().header("set-cookie", "login=5ecret");
            sender.send(accept).await?;
        }
        _ => return Err(AppError::Unsupported),
    }
    Ok(())
}

/// Records a request and a WebSocket with credentials in every place that has fields.
async fn record_credentials(has_credentials: bool) -> String {
    let file = MemoryFile::default();
    let recorder = || {
        let recorder = Recorder::new(log_in, file.clone());
        match has_credentials {
            true => recorder.with_credentials(),
            false => recorder,
        }
    };
    let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
    with_credentials(&mut scope.headers);
    let mut trailers = HeaderMap::new();
    trailers.insert("authorization", HeaderValue::from_static("Bearer 5ecret"));
    let request = HttpRequestBody::last("").trailers(trailers);
    record(
        recorder(),
        scope,
        vec![ReceiveEvent::HttpRequestBody(request)],
    )
    .await;
    let mut scope = WebSocketScope::new("/".parse().unwrap());
    with_credentials(&mut scope.headers);
    record(recorder(), scope, vec![]).await;
    file.text()
}

#[tokio::test]
async fn credentials_are_masked_in_every_field_of_both_directions() {
    let text = record_credentials(false).await;
    assert!(!text.contains("5ecret"), "{text}");
    for name in [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
    ] {
        assert!(
            text.contains(&format!(r#"["{name}","{MASKED}"]"#)),
            "{text}"
        );
    }
    assert!(text.contains(r#"["host","localhost"]"#), "{text}");
    assert!(text.contains(r#"["content-type","text/plain"]"#), "{text}");
    assert!(text.contains("hello"), "{text}");
}

#[tokio::test]
async fn credentials_are_recorded_if_asked_for() {
    let text = record_credentials(true).await;
    assert!(!text.contains(MASKED), "{text}");
    for secret in SECRETS {
        assert!(text.contains(secret), "{secret} is not in {text}");
    }
}

#[tokio::test]
async fn each_event_is_recorded_once_under_back_pressure() {
    let text = record_credentials(false).await;
    for event in [
        "http.request",
        "http.response.start",
        "http.response.body",
        "http.response.trailers",
        "websocket.accept",
    ] {
        let count = text.matches(&format!(r#"{{"type":"{event}""#)).count();
        assert_eq!(count, 1, "{event} in {text}");
    }
}

/// Greets a client with the right token, and sets a cookie that differs each time.
async fn authenticated(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
    static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let request = scope.into_http()?;
    let is_authorized = request.headers.get("authorization");
    if is_authorized.is_none_or(|value| value != "Bearer 5ecret") {
        let start = HttpResponseStart::new(StatusCode::UNAUTHORIZED);
        sender.send(start).await?;
        return Ok(sender.send(HttpResponseBody::end()).await?);
    }
    let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let start = HttpResponseStart::ok().header("set-cookie", format!("session={call}"));
    sender.send(start).await?;
    Ok(sender.send(HttpResponseBody::last("hello")).await?)
}

#[tokio::test]
async fn a_masked_recording_is_replayed_with_the_credentials_of_the_options() {
    let file = MemoryFile::default();
    let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
    let token = HeaderValue::from_static("Bearer 5ecret");
    scope.headers.insert("authorization", token.clone());
    record(Recorder::new(authenticated, file.clone()), scope, vec![]).await;
    let text = file.text();
    let run = |options| {
        let text = text.clone();
        let replay = move || replay(text.as_bytes(), || authenticated, options).unwrap();
        tokio::task::spawn_blocking(replay)
    };
    let masked = run(ReplayOptions::new()).await.unwrap();
    assert_eq!(masked.masked_requests, 1);
    assert_eq!(masked.differences[0].what, "status", "{masked}");
    assert!(masked.to_string().contains(MASKED), "{masked}");
    let name = http::header::AUTHORIZATION;
    let given = run(ReplayOptions::new().credential(name, token))
        .await
        .unwrap();
    assert_eq!(given.masked_requests, 0);
    assert!(given.differences.is_empty(), "{given}");
}

#[test]
fn a_response_field_that_was_not_masked_is_compared() {
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/","headers":[["authorization","Bearer 5ecret"]]}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["set-cookie","session=another"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"hello"}}
{"exchange":1,"ended":"returned"}
"#;
    let replay = replay(recording.as_bytes(), || authenticated, ReplayOptions::new()).unwrap();
    assert_eq!(replay.masked_requests, 0);
    assert_eq!(replay.differences[0].what, "header fields", "{replay}");
}

/// The scope and the events of a shutdown are recorded, and come back in a replay.
#[tokio::test]
async fn a_shutdown_is_recorded_and_replayed() {
    async fn long_poll(
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        scope.into_http()?;
        let mut content = "nothing";
        loop {
            match receiver.receive().await {
                ReceiveEvent::HttpShutdown => content = "shutting down",
                ReceiveEvent::HttpDisconnect => {}
                _ => continue,
            }
            sender.send(HttpResponseStart::ok()).await?;
            return Ok(sender.send(HttpResponseBody::last(content)).await?);
        }
    }
    let file = MemoryFile::default();
    let mut scope = HttpScope::new(Method::GET, "/".parse().unwrap());
    scope.features = callgate::Features::NONE.with(callgate::Feature::Shutdown);
    let request = ReceiveEvent::HttpRequestBody(HttpRequestBody::default());
    let events = vec![request, ReceiveEvent::HttpShutdown];
    record(Recorder::new(long_poll, file.clone()), scope, events).await;
    let text = file.text();
    assert!(
        text.contains(r#""received":{"type":"http.shutdown"}"#),
        "{text}"
    );
    let replay = move || replay(text.as_bytes(), || long_poll, ReplayOptions::new()).unwrap();
    let replay = tokio::task::spawn_blocking(replay).await.unwrap();
    assert!(replay.differences.is_empty(), "{replay}");
}

/// A path send whose future is dropped is not sent, and not recorded.
#[tokio::test]
async fn a_path_send_is_recorded_when_the_file_has_been_opened() {
    struct FileServer(Result<(), SendError>);

    impl Channel for FileServer {
        fn poll_receive(&self, _: &mut Context<'_>) -> Poll<ReceiveEvent> {
            Poll::Pending
        }

        fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }

        fn start_send(&self, _: SendEvent) -> Result<SendProgress, SendError> {
            let result = self.0.clone();
            Ok(SendProgress::Pending(Box::pin(async {
                tokio::task::yield_now().await;
                result
            })))
        }
    }

    let app = |_: Scope, _: Receiver, sender: Sender| async move {
        {
            let dropped =
                std::pin::pin!(sender.send(callgate::HttpResponsePathSend::new("/dropped")));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(dropped.poll(&mut cx).is_pending());
        }
        let _ = sender
            .send(callgate::HttpResponsePathSend::new("/file"))
            .await;
        Ok(())
    };
    for (result, expected) in [
        (
            Ok(()),
            r#"{"exchange":1,"sent":{"type":"http.response.pathsend","path":"/file"}}"#,
        ),
        (
            Err(SendError::Disconnected),
            r#"{"exchange":1,"sent":{"type":"http.response.pathsend","path":"/file"},"failed":"disconnected"}"#,
        ),
    ] {
        let file = MemoryFile::default();
        let server = Arc::new(FileServer(result));
        let scope = HttpScope::new(Method::GET, "/".parse().unwrap()).into();
        let (receiver, sender) = (Receiver::new(server.clone()), Sender::new(server));
        Recorder::new(app, file.clone())
            .call(scope, receiver, sender)
            .await
            .unwrap();
        let text = file.text();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("/dropped"), "{text}");
    }
}

#[test]
fn a_file_with_content_is_refused_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording");
    let mut record_file = RecordFile::open(&path).unwrap();
    record_file.write_all(b"of yesterday").unwrap();
    drop(record_file);
    let error = RecordFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("the file is not empty"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "of yesterday");
}

#[test]
fn a_recording_in_a_directory_is_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut record_file = RecordFile::open(directory.path()).unwrap();
    record_file.write_all(b"new").unwrap();
    record_file.flush().unwrap();
    let files: Vec<_> = directory.path().read_dir().unwrap().collect();
    let [Ok(file)] = &files[..] else {
        panic!("{files:?}");
    };
    let name = file.file_name().into_string().unwrap();
    let process = format!("-{}.jsonl", std::process::id());
    assert!(
        name.starts_with("recording-") && name.ends_with(&process),
        "{name}"
    );
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "new");
}

#[cfg(unix)]
mod modes {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_can_read_a_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("recording");
        RecordFile::open(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_access_is_refused_and_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "of yesterday").unwrap();
        for mode in [0o644, 0o640, 0o602] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
            let error = RecordFile::open(&file).unwrap_err().to_string();
            assert!(error.contains(&format!("its mode is {mode:o}")), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "of yesterday");
    }

    #[test]
    fn a_device_is_no_file_that_others_read() {
        RecordFile::open("/dev/null")
            .unwrap()
            .write_all(b"x")
            .unwrap();
    }
}
