//! Any split of the octets gives the same messages.

use proptest::prelude::*;

use super::{BINARY, CONTINUATION, FIN, LIMIT, PING, TEXT, decode, frame};

/// A frame of a fragmented message or between the fragments.
#[derive(Clone, Debug)]
enum Part {
    Data(Vec<u8>),
    Ping(Vec<u8>),
}

fn parts() -> impl Strategy<Value = (bool, Vec<Part>)> {
    let data = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 0..70_000),
    ];
    let part = prop_oneof![
        3 => data.prop_map(Part::Data),
        1 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(Part::Ping),
    ];
    (any::<bool>(), prop::collection::vec(part, 0..8))
}

/// Encodes parts as one message. A text message gets the payload in a form that is UTF-8.
fn encode((is_text, parts): &(bool, Vec<Part>), octets: &mut Vec<u8>) {
    let mut opcode = if *is_text { TEXT } else { BINARY };
    for part in parts {
        octets.extend(match part {
            Part::Ping(payload) => frame(FIN | PING, payload),
            Part::Data(payload) => {
                let first = std::mem::replace(&mut opcode, CONTINUATION);
                match is_text {
                    true => frame(first, String::from_utf8_lossy(payload).as_bytes()),
                    false => frame(first, payload),
                }
            }
        });
    }
    octets.extend(frame(FIN | opcode, ""));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn any_split_of_any_messages_gives_the_same_messages(
        messages in prop::collection::vec(parts(), 1..4),
        broken in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        min_direct in prop_oneof![Just(1), Just(4096), Just(usize::MAX)],
    ) {
        let mut octets = Vec::new();
        for message in &messages {
            encode(message, &mut octets);
        }
        octets.extend(broken);
        let whole = decode([&octets[..]], LIMIT, usize::MAX);
        prop_assert!(whole.0.len() >= messages.len());
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(octets.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for cut in cuts {
            pieces.push(&octets[start..cut]);
            start = cut;
        }
        pieces.push(&octets[start..]);
        prop_assert_eq!(decode(pieces, LIMIT, min_direct), whole);
    }

    #[test]
    fn any_split_of_any_octets_gives_the_same(
        octets in prop::collection::vec(any::<u8>(), 1..300),
        cut in any::<prop::sample::Index>(),
    ) {
        let (first, second) = octets.split_at(cut.index(octets.len()));
        let whole = decode([&octets[..]], LIMIT, 1);
        prop_assert_eq!(decode([first, second], LIMIT, 1), whole);
    }
}
