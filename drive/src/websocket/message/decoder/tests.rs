//! Each kind of input is decoded in one piece and at any split (RFC 6455, 5 to 8).

use bytes::BufMut as _;
use callgate::{Message, WebSocketClose};

use super::*;
use crate::websocket::message::FramingError;

mod splits;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
const LIMIT: usize = 1 << 20;
const FRAMES: usize = 300;

/// Returns a masked frame with this first octet.
fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut octets = vec![first];
    match payload.len() {
        length @ 0..126 => octets.push(0x80 | length.to_le_bytes()[0]),
        length @ 126..65536 => {
            octets.push(0x80 | 126);
            octets.put_u16(length.try_into().unwrap());
        }
        length => {
            octets.push(0x80 | 127);
            octets.put_u64(length as u64);
        }
    }
    octets.extend(KEY);
    octets.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    octets
}

fn text(text: &str) -> Received {
    Received::Message(Message::text(text))
}

fn binary(octets: impl Into<Bytes>) -> Received {
    Received::Message(Message::binary(octets))
}

fn ping(payload: &'static [u8]) -> Received {
    Received::Ping(Bytes::from_static(payload))
}

fn closed(code: u16, reason: &'static str) -> Received {
    Received::Close(Some(WebSocketClose::new(code).reason(reason)))
}

type Decoded = (Vec<Received>, Option<MessageError>);

/// Decodes pieces as a stream does that gets them one by one. The rest of large frames is read
/// directly if `min_direct` says so.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
    min_direct: usize,
) -> Decoded {
    let mut decoder = Decoder::new(Role::Server, limit, FRAMES, None);
    let mut decoded = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        while !rest.is_empty() {
            let (used, received) = match decoder.buffer(min_direct) {
                Some(mut buffer) => {
                    let count = buffer.remaining_mut().min(rest.len());
                    buffer.put_slice(&rest[..count]);
                    match decoder.filled(count) {
                        Ok(received) => (count, received),
                        Err(error) => return (decoded, Some(error)),
                    }
                }
                None => match decoder.decode(rest) {
                    Ok(result) => result,
                    Err(error) => return (decoded, Some(error)),
                },
            };
            rest = &mut rest[used..];
            let is_close = matches!(received, Some(Received::Close(_)));
            decoded.extend(received);
            if is_close {
                return (decoded, None);
            }
        }
    }
    (decoded, None)
}

/// Checks that the input is decoded to this, in one piece, octet by octet, and in two pieces.
fn check(what: &str, input: &[u8], expected: &Decoded) {
    for min_direct in [1, usize::MAX] {
        assert_eq!(&decode([input], LIMIT, min_direct), expected, "{what}");
        let octets = decode(input.chunks(1), LIMIT, min_direct);
        assert_eq!(&octets, expected, "{what}, octet by octet");
        if input.len() < 300 {
            for at in 0..input.len() {
                let (first, second) = input.split_at(at);
                let decoded = decode([first, second], LIMIT, min_direct);
                assert_eq!(&decoded, expected, "{what}, split at {at}");
            }
        }
    }
}

fn expect_received(what: &str, input: &[Vec<u8>], expected: Vec<Received>) {
    check(what, &input.concat(), &(expected, None));
}

fn expect_failure(
    what: &str,
    input: &[Vec<u8>],
    before: Vec<Received>,
    error: impl Into<MessageError>,
) {
    check(what, &input.concat(), &(before, Some(error.into())));
}

#[test]
fn messages_in_one_frame_have_any_length() {
    // RFC 6455, 5.2 and 5.6.
    for length in [0, 1, 125, 126, 127, 128, 65535, 65536, 65537] {
        let payload = "*".repeat(length);
        expect_received(
            "a text",
            &[frame(FIN | TEXT, &payload)],
            vec![text(&payload)],
        );
        let payload = vec![0xfe; length];
        let frames = [frame(FIN | BINARY, &payload)];
        expect_received("a binary", &frames, vec![binary(payload)]);
    }
}

#[test]
fn pings_and_pongs_are_decoded_with_their_payload() {
    // RFC 6455, 5.5.2 and 5.5.3.
    for payload in [
        &b""[..],
        b"Hello, world!",
        &[0, 0xff, 0xfe, 0xfd],
        &[0xfe; 125],
    ] {
        expect_received("a ping", &[frame(FIN | PING, payload)], vec![ping(payload)]);
        let frames = [frame(FIN | PONG, payload), frame(FIN | PING, payload)];
        let expected = vec![Received::Pong, ping(payload)];
        expect_received("a pong that was not asked for", &frames, expected);
    }
    let pings: Vec<_> = (0..10).map(|_| frame(FIN | PING, "x")).collect();
    expect_received("ten pings", &pings, vec![ping(b"x"); 10]);
}

#[test]
fn control_frames_that_are_too_long_or_fragments_are_refused() {
    // RFC 6455, 5.5.
    for opcode in [CLOSE, PING, PONG] {
        let long = [frame(FIN | opcode, [0xfe; 126])];
        expect_failure("a long one", &long, vec![], FramingError::ControlTooLong);
        let fragments = [frame(opcode, ""), frame(FIN | CONTINUATION, "")];
        expect_failure(
            "fragments",
            &fragments,
            vec![],
            FramingError::ControlFragmented,
        );
    }
}

#[test]
fn reserved_bits_and_opcodes_are_refused_after_the_messages_before_them() {
    // RFC 6455, 5.2.
    for bits in [0x40, 0x20, 0x10, 0x30, 0x50, 0x60, 0x70] {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            let frames = [
                frame(FIN | TEXT, "before"),
                frame(FIN | bits | opcode, ""),
                frame(FIN | PING, ""),
            ];
            let before = vec![text("before")];
            expect_failure("a bit", &frames, before, FramingError::ReservedBit);
        }
        let frames = [frame(TEXT, "a"), frame(FIN | bits | CONTINUATION, "b")];
        expect_failure("a bit", &frames, vec![], FramingError::ReservedBit);
    }
    for opcode in (3..=7).chain(11..=15) {
        let frames = [frame(FIN | TEXT, "before"), frame(FIN | opcode, "x")];
        let before = vec![text("before")];
        expect_failure("an opcode", &frames, before, FramingError::ReservedOpcode);
    }
}

#[test]
fn fragments_are_joined() {
    // RFC 6455, 5.4.
    expect_received(
        "two fragments",
        &[frame(TEXT, "frag"), frame(FIN | CONTINUATION, "ment")],
        vec![text("fragment")],
    );
    expect_received(
        "a ping between fragments",
        &[
            frame(TEXT, "frag"),
            frame(FIN | PING, "p"),
            frame(CONTINUATION, ""),
            frame(FIN | PONG, ""),
            frame(FIN | CONTINUATION, "ment"),
            frame(FIN | BINARY, "x"),
        ],
        vec![ping(b"p"), Received::Pong, text("fragment"), binary("x")],
    );
    expect_received(
        "empty fragments",
        &[
            frame(BINARY, ""),
            frame(CONTINUATION, ""),
            frame(FIN | CONTINUATION, ""),
        ],
        vec![binary("")],
    );
    expect_received(
        "a fragmented message twice",
        &[
            frame(TEXT, "1"),
            frame(FIN | CONTINUATION, "2"),
            frame(BINARY, "3"),
            frame(FIN | CONTINUATION, "4"),
        ],
        vec![text("12"), binary("34")],
    );
    let mut many = vec![frame(TEXT, "")];
    many.extend((0..200).map(|_| frame(CONTINUATION, "ab")));
    many.push(frame(FIN | CONTINUATION, ""));
    expect_received("many fragments", &many, vec![text(&"ab".repeat(200))]);
}

#[test]
fn fragments_out_of_turn_are_refused() {
    // RFC 6455, 5.4.
    for first in [CONTINUATION, FIN | CONTINUATION] {
        expect_failure(
            "a continuation of nothing",
            &[frame(first, "x"), frame(FIN | TEXT, "y")],
            vec![],
            FramingError::NothingToContinue,
        );
        expect_failure(
            "a continuation of a complete message",
            &[frame(FIN | TEXT, "x"), frame(first, "y")],
            vec![text("x")],
            FramingError::NothingToContinue,
        );
    }
    for first in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
        expect_failure(
            "a message within a message",
            &[
                frame(TEXT, "x"),
                frame(CONTINUATION, "y"),
                frame(first, "z"),
            ],
            vec![],
            FramingError::MessageInterleaved,
        );
    }
}

#[test]
fn a_text_is_utf8_as_a_whole() {
    // RFC 6455, 8.1.
    const VALID: &[&str] = &[
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
        "\u{d7ff}\u{e000}\u{fffd}\u{fffe}",
    ];
    for valid in VALID {
        expect_received(
            "in one frame",
            &[frame(FIN | TEXT, valid)],
            vec![text(valid)],
        );
        let mut octets: Vec<_> = valid
            .bytes()
            .map(|octet| frame(CONTINUATION, [octet]))
            .collect();
        octets[0][0] = TEXT;
        octets.push(frame(FIN | CONTINUATION, ""));
        expect_received("an octet a frame", &octets, vec![text(valid)]);
    }
    for invalid in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
        b"\xce",
        b"\xf0\x9f\x98",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xed\xbf\xbf",
        b"\xff",
    ] {
        let whole = [frame(FIN | TEXT, invalid)];
        expect_failure("in one frame", &whole, vec![], MessageError::NotUtf8);
        for at in 0..=invalid.len() {
            let parts = [
                frame(TEXT, &invalid[..at]),
                frame(FIN | PING, ""),
                frame(FIN | CONTINUATION, &invalid[at..]),
            ];
            let (received, error) = decode([&parts.concat()[..]], LIMIT, 1);
            assert_eq!(error, Some(MessageError::NotUtf8));
            assert!(received.is_empty() || received == [ping(b"")]);
        }
        let octets = [frame(FIN | BINARY, invalid)];
        expect_received("a binary", &octets, vec![binary(invalid)]);
    }
}

#[test]
fn a_text_that_is_not_utf8_fails_before_its_frame_is_complete() {
    // The frame announces 1000 octets. The fourth can be in no text.
    let whole = frame(FIN | TEXT, [&b"abc\xff"[..], &[b'x'; 996]].concat());
    let head = whole.len() - 1000;
    for min_direct in [1, usize::MAX] {
        let until = |end: usize| decode([&whole[..head], &whole[head..end]], LIMIT, min_direct);
        assert_eq!(until(head + 3), (vec![], None));
        let expected = (vec![], Some(MessageError::NotUtf8));
        assert_eq!(until(head + 4), expected);
    }
    // So does the second octet of a character whose third has not arrived.
    let surrogate = frame(TEXT, [0xed, 0xa0]);
    let expected = (vec![], Some(MessageError::NotUtf8));
    assert_eq!(decode([&surrogate[..]], LIMIT, 1), expected);
}

#[test]
fn close_frames_are_decoded_and_nothing_after_them() {
    // RFC 6455, 5.5.1 and 7.4.
    let after = || [frame(FIN | TEXT, "after"), frame(FIN | PING, "")].concat();
    let reason: &'static str = "*".repeat(123).leak();
    for (payload, expected) in [
        (&b""[..], Received::Close(None)),
        (b"\x03\xe8", closed(1000, "")),
        (b"\x03\xe8bye", closed(1000, "bye")),
        (
            &[b"\x03\xf6", reason.as_bytes()].concat(),
            closed(1014, reason),
        ),
        (b"\x0b\xb8", closed(3000, "")),
        (b"\x13\x87", closed(4999, "")),
    ] {
        let frames = [frame(FIN | TEXT, "x"), frame(FIN | CLOSE, payload), after()];
        expect_received("a close", &frames, vec![text("x"), expected]);
    }
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535,
    ] {
        let frames = [frame(FIN | CLOSE, code.to_be_bytes()), after()];
        expect_failure("a code", &frames, vec![], FramingError::CloseCode);
    }
    expect_failure(
        "one octet",
        &[frame(FIN | CLOSE, "x"), after()],
        vec![],
        FramingError::CloseOfOneOctet,
    );
    expect_failure(
        "a reason that is not UTF-8",
        &[frame(FIN | CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80"), after()],
        vec![],
        MessageError::NotUtf8,
    );
    expect_received(
        "a close within a fragmented message",
        &[frame(TEXT, "x"), frame(FIN | CLOSE, "")],
        vec![Received::Close(None)],
    );
}

#[test]
fn a_message_at_the_limit_is_taken_and_a_larger_one_fails_at_its_header() {
    let decode = |octets: &[u8]| decode([octets], 1000, 1);
    let message = vec![b'x'; 1000];
    let decoded = (vec![binary(message.clone())], None);
    assert_eq!(decode(&frame(FIN | BINARY, &message)), decoded);
    let parts = [
        frame(BINARY, &message[..999]),
        frame(FIN | PING, [0; 125]),
        frame(FIN | CONTINUATION, "x"),
    ];
    let (received, error) = decode(&parts.concat());
    assert_eq!((received.last(), error), (Some(&binary(message)), None));

    let too_large = (vec![], Some(MessageError::TooLarge));
    let header = [
        FIN | TEXT,
        0x80 | 126,
        1001_u16.to_be_bytes()[0],
        1001_u16.to_be_bytes()[1],
    ];
    assert_eq!(decode(&[&header[..], &KEY].concat()), too_large);
    let header = [&[FIN | TEXT, 0x80 | 127][..], &i64::MAX.to_be_bytes(), &KEY].concat();
    assert_eq!(decode(&header), too_large);
    let parts = [frame(TEXT, [b'x'; 1000]), frame(CONTINUATION, "x")].concat();
    assert_eq!(decode(&parts[..parts.len() - 1]), too_large);
}

#[test]
fn an_idle_decoder_holds_no_memory() {
    let mut decoder = Decoder::new(Role::Server, LIMIT, FRAMES, None);
    let mut octets = [
        frame(TEXT, "a"),
        frame(FIN | PING, "ping"),
        frame(FIN | CONTINUATION, "b"),
    ]
    .concat();
    for octet in octets.chunks_mut(1) {
        decoder.decode(octet).unwrap();
    }
    assert!(decoder.frame.is_none() && decoder.message.is_none());
    assert_eq!(decoder.control.capacity(), 0);
}

#[test]
fn a_message_of_too_many_frames_is_refused_at_the_first_octet_of_the_frame_too_many() {
    let fragments = |count: usize, payload: &str| {
        let more = (1..count).flat_map(|_| [frame(CONTINUATION, payload), frame(FIN | PING, "")]);
        [frame(TEXT, payload)]
            .into_iter()
            .chain(more)
            .collect::<Vec<_>>()
            .concat()
    };
    for payload in ["", "x"] {
        // Control frames do not count, and each message has its own count.
        let whole = [
            fragments(FRAMES - 1, payload),
            frame(FIN | CONTINUATION, payload),
        ]
        .concat();
        let too_many = [fragments(FRAMES, payload), vec![FIN]].concat();
        let message = text(&payload.repeat(FRAMES));
        let pings = |count| std::iter::repeat_n(ping(b""), count);
        let expected = pings(FRAMES - 2).chain([message]).chain(pings(FRAMES - 1));
        check(
            "frames",
            &[whole, too_many].concat(),
            &(expected.collect(), Some(MessageError::TooManyFrames)),
        );
    }
}
