//! The replay of recordings.

use crate::support::{CRATE, conformance, conformance_with};

#[test]
fn a_replay_shows_where_the_responses_differ() {
    let file = std::env::temp_dir().join(format!("callgate-replay-{}", std::process::id()));
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/"}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["content-type","text/plain; charset=utf-8"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"Hello, world!\n"}}
{"exchange":1,"ended":"returned"}
"#;
    std::fs::write(&file, recording).unwrap();
    let path = file.to_str().unwrap();
    let same = conformance(&["replay", path, "--app", "hello"]);
    assert_eq!((same.stderr.as_str(), same.status), ("", Some(0)));
    assert_eq!(same.stdout, "1 exchanges, 0 answered differently\n");
    std::fs::write(&file, recording.replace("world", "World")).unwrap();
    let other = conformance(&["replay", path, "--app", "hello"]);
    assert_eq!((other.stderr.as_str(), other.status), ("", Some(1)));
    assert!(
        other.stdout.starts_with(
            "exchange 1: different content\n  recorded: \"Hello, World!\\n\" (14 bytes)\n"
        ),
        "{}",
        other.stdout
    );
    std::fs::remove_file(&file).unwrap();
    let missing = conformance(&["replay", path, "--app", "hello"]);
    assert!(
        missing
            .stderr
            .starts_with(&format!("error: cannot read {path}: ")),
        "{}",
        missing.stderr
    );
    assert_eq!(missing.status, Some(3));
}

#[test]
fn a_replay_sends_the_credentials_of_the_flags_and_mentions_masked_ones() {
    let file = std::env::temp_dir().join(format!("callgate-masked-{}", std::process::id()));
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"GET","scheme":"http","raw_path":"/","headers":[["cookie","<masked>"]]}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["content-type","text/plain; charset=utf-8"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"Hello, world!\n"}}
{"exchange":1,"ended":"returned"}
"#;
    std::fs::write(&file, recording).unwrap();
    let args = ["replay", file.to_str().unwrap(), "--app", "hello"];
    let masked = conformance(&args);
    assert_eq!(
        masked.stdout,
        "1 requests were sent with `<masked>` credentials\n1 exchanges, 0 answered differently\n"
    );
    let given = conformance(&[&args[..], &["--credential", "cookie: session=7"]].concat());
    assert_eq!(given.stdout, "1 exchanges, 0 answered differently\n");
    let wrong = conformance(&[&args[..], &["--credential", "cookie"]].concat());
    let reason = "error: invalid value 'cookie' for '--credential <FIELD:VALUE>': a credential is FIELD:VALUE, such as cookie:session=7\n";
    assert!(wrong.stderr.starts_with(reason), "{}", wrong.stderr);
    assert_eq!(wrong.status, Some(2));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_recording_is_replayed_to_an_application_of_asgi() {
    let python = std::env::var("CALLGATE_PYTHON")
        .expect("CALLGATE_PYTHON is not set: run cargo xtask test, which installs it");
    let file = std::env::temp_dir().join(format!("callgate-replay-asgi-{}", std::process::id()));
    let recording = r#"
{"exchange":1,"called":{"type":"http","http_version":"1.1","method":"POST","scheme":"http","raw_path":"/"}}
{"exchange":1,"received":{"type":"http.request","body":"an order"}}
{"exchange":1,"sent":{"type":"http.response.start","status":200,"headers":[["content-type","text/plain"],["content-length","8"]]}}
{"exchange":1,"sent":{"type":"http.response.body","body":"an order"}}
{"exchange":1,"ended":"returned"}
{"exchange":2,"called":{"type":"websocket","http_version":"1.1","scheme":"ws","raw_path":"/"}}
{"exchange":2,"received":{"type":"websocket.connect"}}
{"exchange":2,"sent":{"type":"websocket.accept"}}
{"exchange":2,"received":{"type":"websocket.receive","text":"hello"}}
{"exchange":2,"sent":{"type":"websocket.send","text":"hello"}}
{"exchange":2,"received":{"type":"websocket.disconnect","code":1000}}
{"exchange":2,"ended":"returned"}
"#;
    let directory = format!("{CRATE}/tests/asgi_apps");
    let path = file.to_str().unwrap();
    let replay = |recording: &str, app: &str| {
        std::fs::write(&file, recording).unwrap();
        let args = ["replay", path, "--asgi", app, "--app-dir", &directory];
        let variables = [
            ("CALLGATE_PYTHON", &*python),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ];
        conformance_with(&args, &variables)
    };
    let same = replay(recording, "good:app");
    assert_eq!(
        (same.stdout.as_str(), same.stderr.as_str(), same.status),
        ("2 exchanges, 0 answered differently\n", "", Some(0))
    );
    let other = replay(
        &recording.replace("send\",\"text\":\"hello", "send\",\"text\":\"hullo"),
        "good:app",
    );
    assert_eq!((other.stderr.as_str(), other.status), ("", Some(1)));
    let beginning = "exchange 2: different event\n";
    assert!(other.stdout.starts_with(beginning), "{}", other.stdout);
    let missing = replay(recording, "good:application");
    let reason = "error: cannot replay to `good:application`: ";
    assert!(missing.stderr.starts_with(reason), "{}", missing.stderr);
    assert_eq!((missing.stdout.as_str(), missing.status), ("", Some(3)));
    std::fs::remove_file(&file).unwrap();
}
