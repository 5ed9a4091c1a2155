//! Compression and inflation, by the examples of RFC 7692 and by random messages.

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::negotiation::ContextParameters;
use super::*;

const LIMIT: usize = 1 << 20;

fn parameters(max_window_bits: Option<u8>, no_takeover: bool) -> ContextParameters {
    ContextParameters {
        no_takeover,
        max_window_bits,
    }
}

fn inflater(no_takeover: bool) -> Inflater {
    Inflater::new(parameters(None, no_takeover))
}

/// Inflates a message that comes in pieces.
fn inflate(
    inflater: &mut Inflater,
    pieces: &[&[u8]],
    limit: usize,
) -> Result<Vec<u8>, InflateError> {
    let mut payload = Vec::new();
    let mut checked = Vec::new();
    let mut check = |part: &[u8]| {
        checked.extend_from_slice(part);
        Ok(())
    };
    for piece in pieces {
        inflater.inflate(piece, &mut payload, limit, &mut check)?;
    }
    inflater.finish(&mut payload, limit, &mut check)?;
    assert_eq!(payload, checked, "each part is checked once");
    Ok(payload)
}

#[test]
fn the_examples_of_the_rfc_are_inflated_at_any_split() {
    for (section, message, expected) in [
        ("7.2.3.1", &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], "Hello"),
        (
            "7.2.3.3",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            "Hello",
        ),
        ("7.2.3.4", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        (
            "7.2.3.5",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            "Hello",
        ),
        ("7.2.3.6", b"\x00", ""),
        ("an empty message without an octet", b"", ""),
    ] {
        for no_context_takeover in [false, true] {
            for at in 0..=message.len() {
                let pieces = [&message[..at], &message[at..]];
                let inflated = inflate(&mut inflater(no_context_takeover), &pieces, LIMIT);
                assert_eq!(inflated.as_deref(), Ok(expected.as_bytes()), "{section}");
            }
        }
    }
}

#[test]
fn a_message_refers_to_the_one_before_where_the_context_is_kept() {
    // RFC 7692, 7.2.3.2: the second message is smaller.
    let mut kept = inflater(false);
    for message in [
        &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
        b"\xf2\x00\x11\x00\x00",
    ] {
        assert_eq!(inflate(&mut kept, &[message], LIMIT).unwrap(), b"Hello");
    }
    let mut not_kept = inflater(true);
    inflate(&mut not_kept, &[b"\xf2\x48\xcd\xc9\xc9\x07\x00"], LIMIT).unwrap();
    assert_eq!(
        inflate(&mut not_kept, &[b"\xf2\x00\x11\x00\x00"], LIMIT),
        Err(InflateError::Invalid)
    );
}

#[test]
fn a_payload_that_is_not_deflated_is_invalid() {
    for payload in [
        &b"\xff\xff\xff\xff"[..],
        b"\x06",
        // A stored block whose length and its complement differ.
        b"\x00\x05\x00\x00\x00Hello\x00",
        // A distance beyond the start.
        b"\xf2\x00\x11\x00\x00",
        // After the last block of a stream.
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff",
    ] {
        for no_context_takeover in [false, true] {
            let inflated = inflate(&mut inflater(no_context_takeover), &[payload], LIMIT);
            assert_eq!(inflated, Err(InflateError::Invalid), "{payload:x?}");
        }
    }
}

/// Returns a message in the format of RFC 7692, compressed by zlib at this level.
fn deflate(level: u32, message: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(message.len() + 1024);
    let mut compress = Compress::new(Compression::new(level), false);
    compress
        .compress_vec(message, &mut compressed, FlushCompress::Sync)
        .unwrap();
    assert!(compressed.ends_with(&FLUSH_TAIL));
    compressed.truncate(compressed.len() - FLUSH_TAIL.len());
    compressed
}

#[test]
fn a_message_that_is_cut_is_invalid_whether_or_not_the_context_is_kept() {
    let numbers: String = (0..300_u32).map(|n| format!("{}, ", n * n)).collect();
    for (blocks, message) in [
        ("stored", deflate(0, b"Hello")),
        ("of fixed codes", deflate(1, b"Hello, hello, hello")),
        ("of dynamic codes", deflate(9, numbers.as_bytes())),
    ] {
        for no_context_takeover in [false, true] {
            let whole = inflate(&mut inflater(no_context_takeover), &[&message], LIMIT);
            assert!(whole.is_ok(), "blocks {blocks}");
            // The first octet alone may be a message: that of an empty block.
            for end in 2..message.len() {
                let cut = inflate(
                    &mut inflater(no_context_takeover),
                    &[&message[..end]],
                    LIMIT,
                );
                assert_eq!(cut, Err(InflateError::Invalid), "blocks {blocks}, {end}");
            }
        }
    }
}

#[test]
fn a_message_with_a_tail_of_its_own_is_invalid() {
    // RFC 7692, 7.2.1: the sender removes the tail.
    for no_context_takeover in [false, true] {
        let message = [b"\xf2\x48\xcd\xc9\xc9\x07\x00", &FLUSH_TAIL[..]].concat();
        let inflated = inflate(&mut inflater(no_context_takeover), &[&message], LIMIT);
        assert_eq!(inflated, Err(InflateError::Invalid));
    }
}

#[test]
fn a_bomb_takes_no_more_memory_than_the_limit() {
    const INFLATED: usize = 64 << 20;
    let zeros = vec![0; INFLATED];
    let bomb = deflate(9, &zeros);
    assert!(bomb.len() < INFLATED / 500);
    let mut payload = Vec::new();
    let mut largest = 0;
    let result = inflater(true).inflate(&bomb, &mut payload, LIMIT, |_| Ok::<_, InflateError>(()));
    largest = largest.max(payload.capacity());
    assert_eq!(result, Err(InflateError::TooLarge));
    assert!(largest <= LIMIT + 1, "{largest}");

    // A message of exactly the limit is taken, and one byte more is not.
    for (size, expected) in [(LIMIT, Ok(LIMIT)), (LIMIT + 1, Err(InflateError::TooLarge))] {
        let compressed = deflate(9, &zeros[..size]);
        for chunk in [1, 7, LIMIT] {
            let pieces: Vec<_> = compressed.chunks(chunk).collect();
            let inflated = inflate(&mut inflater(true), &pieces, LIMIT);
            assert_eq!(inflated.map(|it| it.len()), expected);
        }
    }
}

#[test]
fn contexts_that_are_not_kept_hold_no_memory_between_messages() {
    let mut inflater = inflater(true);
    inflate(&mut inflater, &[b"\xf2\x48\xcd\xc9\xc9\x07\x00"], LIMIT).unwrap();
    assert!(inflater.context.is_none());
}

/// Messages of the sizes and the kinds that make a difference: random octets, and repetitions.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let size = prop_oneof![3 => 128..2000_usize, 1 => 2000..100_000_usize];
    let message = (
        prop::collection::vec(any::<u8>(), 1..300),
        size,
        any::<bool>(),
    )
        .prop_map(|(pattern, size, is_varied)| {
            let repeated = pattern.iter().copied().cycle().take(size);
            match is_varied {
                true => repeated
                    .enumerate()
                    .map(|(n, octet)| octet ^ n.to_le_bytes()[1])
                    .collect(),
                false => repeated.collect(),
            }
        });
    prop::collection::vec(message, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn messages_are_inflated_to_what_was_compressed(
        messages in messages(),
        bits in prop::option::of(9..=15_u8),
        no_context_takeover in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let parameters = parameters(bits, no_context_takeover);
        let mut compressor = Compressor::new(parameters);
        let mut inflater = Inflater::new(parameters);
        // A repeated message is where a context makes a difference.
        for message in messages.iter().chain(&messages) {
            // Without a context, a message that compression does not shrink is sent uncompressed.
            let Some(compressed) = compressor.compress(message) else {
                prop_assert!(no_context_takeover);
                continue;
            };
            let (first, second) = compressed.split_at(cut.index(compressed.len()));
            let inflated = inflate(&mut inflater, &[first, second], LIMIT);
            prop_assert!(inflated.as_ref() == Ok(message));
        }
    }

    #[test]
    fn no_payload_makes_the_inflater_panic_or_exceed_the_limit(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5),
        no_context_takeover in any::<bool>(),
    ) {
        let mut inflater = inflater(no_context_takeover);
        for message in messages {
            match inflate(&mut inflater, &[&message], 1000) {
                Ok(inflated) => prop_assert!(inflated.len() <= 1000),
                Err(_) => break,
            }
        }
    }
}
