//! The replay of recordings.

use crate::support::conformance;

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
