//! What the tests of the decoder share.

use bytes::BytesMut;
use callgate_http1::{Config, DecodeError, DecodedHead, HeadDecoder, Next, RequestHead};

use crate::reading::{End, Reading, read_pieces};

/// Decodes the octets in one piece and one at a time, and checks that both give the same.
#[track_caller]
pub(crate) fn decode_with(config: &Config, input: impl AsRef<[u8]>) -> Reading {
    let input = input.as_ref();
    let whole = read_pieces(config, None, [input]);
    let octets = read_pieces(config, None, input.chunks(1));
    let text = String::from_utf8_lossy(input);
    assert_eq!(
        whole, octets,
        "in one piece, and an octet at a time: {text:?}"
    );
    whole
}

/// Decodes the octets by the default configuration, in one piece and one at a time.
#[track_caller]
pub(crate) fn decode(input: impl AsRef<[u8]>) -> Reading {
    decode_with(&Config::default(), input)
}

/// Decodes the octets, which are refused, and returns why.
#[track_caller]
pub(crate) fn refusal_with(config: &Config, input: impl AsRef<[u8]>) -> DecodeError {
    let text = String::from_utf8_lossy(input.as_ref()).into_owned();
    match decode_with(config, input).end {
        End::Refused(error) => error,
        end => panic!("{text:?} is not refused: {end:?}"),
    }
}

/// Decodes the octets by the default configuration, which refuses them, and returns why.
#[track_caller]
pub(crate) fn refusal(input: impl AsRef<[u8]>) -> DecodeError {
    refusal_with(&Config::default(), input)
}

/// Decodes the head of a request.
#[track_caller]
pub(crate) fn head_with(config: &Config, input: impl AsRef<[u8]>) -> (RequestHead, Next) {
    let text = String::from_utf8_lossy(input.as_ref()).into_owned();
    let mut input = BytesMut::from(input.as_ref());
    match HeadDecoder::new(config.clone()).decode(&mut input) {
        Ok(DecodedHead::Complete(head, next)) => (head, next),
        Ok(DecodedHead::Incomplete(_)) => panic!("{text:?} is not a whole head"),
        Err(error) => panic!("{text:?}: {error}"),
    }
}

/// Decodes the head of a request by the default configuration.
#[track_caller]
pub(crate) fn head(input: impl AsRef<[u8]>) -> (RequestHead, Next) {
    head_with(&Config::default(), input)
}

/// Returns a request of HTTP/1.1 for `/` with a `host` and these lines.
pub(crate) fn request(method: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} / HTTP/1.1\r\nhost: a\r\n{lines}\r\n")
}
