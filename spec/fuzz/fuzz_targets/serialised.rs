//! The serialised form: a scope or an event that can be read is written so that it is read as the same, and
//! its line in a transcript is one line.

#![no_main]

use callgate::transcript::{Entry, Transcript};
use callgate::{ReceiveEvent, Scope, SendEvent};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|input: &[u8]| {
    if let Some(scope) = read::<Scope>(input) {
        check_line(Entry::Called(scope));
    }
    if let Some(event) = read::<ReceiveEvent>(input) {
        check_line(Entry::Received(event));
    }
    if let Some(event) = read::<SendEvent>(input) {
        check_line(Entry::Sent(event, Ok(())));
    }
});

fn read<T: DeserializeOwned + Serialize>(input: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(input).ok()?;
    let written = serde_json::to_string(&value).expect("whatever is read can be written");
    let again: T = serde_json::from_str(&written).expect("what is written can be read");
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    Some(value)
}

fn check_line(entry: Entry) {
    let mut transcript = Transcript::default();
    transcript.push(entry);
    let text = transcript.to_string();
    assert!(
        !text.trim_end_matches('\n').contains(char::is_control),
        "{text:?}"
    );
}
