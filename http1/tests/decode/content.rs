//! Content and trailers.

use bytes::BytesMut;
use callgate_http1::{
    Config, ContentDecoder, DecodeError, DecodedContent, DecodedHead, HeadDecoder, Next,
};

use crate::reading::End;
use crate::support::{decode, head, refusal, request};

fn chunked(content: &str) -> String {
    request("POST", &["transfer-encoding: chunked"]) + content
}

fn with_length(length: u64, content: &str) -> String {
    request("POST", &[&format!("content-length: {length}")]) + content
}

/// Decodes a request, and returns its content and what the decoder does behind it.
#[track_caller]
fn content(input: String) -> (String, End) {
    let reading = decode(input);
    let request = &reading.requests[0];
    assert_eq!(request.is_complete, reading.end != End::InContent);
    (request.content.clone(), reading.end)
}

/// Decodes a request, and returns its trailers.
#[track_caller]
fn trailers(section: &str) -> Vec<String> {
    let mut reading = decode(chunked(&format!("0\r\n{section}\r\n")));
    assert_eq!(reading.end, End::Idle);
    reading.requests.remove(0).trailers
}

#[test]
fn content_of_a_length_ends_after_so_many_octets_by_rfc_9112_section_6_2() {
    for (octets, read, end) in [
        ("hello", "hello", End::Idle),
        ("hell", "hell", End::InContent),
        ("\r\n\r\n\0GET", "\r\n\r\n\0", End::InHead),
    ] {
        assert_eq!(content(with_length(5, octets)), (read.to_owned(), end));
    }
}

#[test]
fn chunks_are_read_by_rfc_9112_section_7_1() {
    for (octets, read, end) in [
        (
            "5\r\nhello\r\n00A\r\n, world!\r\n\r\n0\r\n\r\n",
            "hello, world!\r\n",
            End::Idle,
        ),
        ("1;a=\"b;c\"\r\nx\r\n0;last\r\n\r\nGET", "x", End::InHead),
        ("000\r\n\r\n", "", End::Idle),
    ] {
        assert_eq!(content(chunked(octets)), (read.to_owned(), end));
    }
    for unfinished in [
        "",
        "5",
        "5\r",
        "5\r\nhel",
        "5\r\nhello",
        "5\r\nhello\r",
        "0\r\n",
        "0\r\n\r",
        "0\r\na: b\r\n",
    ] {
        assert_eq!(
            content(chunked(unfinished)).1,
            End::InContent,
            "{unfinished:?}"
        );
    }
}

#[test]
fn a_chunk_line_is_read_to_the_letter_by_rfc_9112_section_7_1() {
    for (content, error) in [
        ("\r\n", DecodeError::ChunkSize),
        ("x\r\n", DecodeError::ChunkSize),
        ("0x5\r\n", DecodeError::ChunkSize),
        ("5 \r\n", DecodeError::ChunkSize),
        (" 5\r\n", DecodeError::ChunkSize),
        ("-1\r\n", DecodeError::ChunkSize),
        ("5\0\r\n", DecodeError::ChunkSize),
        ("00000000000000001\r\n", DecodeError::ChunkSizeTooLong),
        ("5;\r\n", DecodeError::ChunkExtension),
        ("5;a=\"\r\n", DecodeError::ChunkExtension),
        ("5;a\0\r\n", DecodeError::ChunkExtension),
        ("5\n", DecodeError::BareLf),
        ("5;a\n", DecodeError::BareLf),
        ("5\r5\r\n", DecodeError::BareCr),
        ("5\r\r\n", DecodeError::BareCr),
        ("5;a=\"\r\"\r\n", DecodeError::BareCr),
    ] {
        assert_eq!(refusal(chunked(content)), error, "{content:?}");
    }
}

#[test]
fn the_data_of_a_chunk_ends_with_crlf_by_rfc_9112_section_7_1() {
    for (content, error) in [
        ("1\r\nxx", DecodeError::ChunkEnd),
        ("1\r\nx0\r\n\r\n", DecodeError::ChunkEnd),
        ("1\r\nx\n", DecodeError::BareLf),
        ("1\r\nx\r\r\n", DecodeError::BareCr),
        ("1\r\nx\rx", DecodeError::BareCr),
        ("1\r\nx \r\n", DecodeError::ChunkEnd),
    ] {
        assert_eq!(refusal(chunked(content)), error, "{content:?}");
    }
}

#[test]
fn a_bare_lf_behind_the_last_chunk_does_not_hide_the_next_request() {
    let next = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(
        refusal(chunked(&format!("0\r\n\n{next}"))),
        DecodeError::BareLf
    );
    assert_eq!(
        refusal(chunked(&format!("0\n\r\n{next}"))),
        DecodeError::BareLf
    );
    assert_eq!(
        refusal(chunked(&format!("0\r\na: b\n\r\n{next}"))),
        DecodeError::BareLf
    );
    assert_eq!(
        refusal(chunked(&format!("0\r\n\r{next}\r\n"))),
        DecodeError::BareCr
    );
}

#[test]
fn trailers_are_fields_by_rfc_9112_section_7_1_2() {
    let section = "Sum: 1\r\nx:\t2 \r\nsum: 3\r\n";
    assert_eq!(trailers(section), ["sum: 1", "sum: 3", "x: 2"]);
    for (section, error) in [
        (" a: b\r\n", DecodeError::FoldedLine),
        ("a: b\r\n c\r\n", DecodeError::FoldedLine),
        ("a : b\r\n", DecodeError::BlankBeforeColon),
        ("a b: c\r\n", DecodeError::FieldName),
        (": b\r\n", DecodeError::FieldName),
        ("a\r\n", DecodeError::FieldName),
        ("a: \0\r\n", DecodeError::FieldValue),
        ("a: b\rc\r\n", DecodeError::BareCr),
        ("GET / HTTP/1.1\r\n", DecodeError::FieldName),
    ] {
        assert_eq!(
            refusal(chunked(&format!("0\r\n{section}"))),
            error,
            "{section:?}"
        );
        assert_eq!(
            refusal(chunked(&format!("0\r\n{section}\r\n"))),
            error,
            "{section:?}"
        );
    }
}

#[test]
fn forbidden_trailers_are_dropped_by_rfc_9110_section_6_5_1() {
    let section = "content-length: 5\r\ntransfer-encoding: chunked\r\nhost: b\r\n\
                   authorization: c\r\ncookie: d\r\nconnection: close\r\nkeep-alive: 1\r\n\
                   content-type: a/b\r\nage: 1\r\nsum: 1\r\netag: \"e\"\r\n";
    assert_eq!(trailers(section), ["etag: \"e\"", "sum: 1"]);
}

/// Decodes one step of content, which has data.
fn next_data(decoder: ContentDecoder, input: &mut BytesMut) -> (Vec<u8>, ContentDecoder) {
    match decoder.decode(input) {
        Ok(DecodedContent::Data(data, decoder)) => (data.to_vec(), decoder),
        other => panic!("not data: {other:?}"),
    }
}

#[test]
fn a_content_decoder_says_how_much_has_come_and_how_much_is_left() {
    let (_, Next::Content(decoder)) = head(with_length(5, "")) else {
        panic!("there is content");
    };
    assert_eq!((decoder.remaining(), decoder.received()), (Some(5), 0));
    let mut input = BytesMut::from("hel");
    let (data, decoder) = next_data(decoder, &mut input);
    assert_eq!(data, b"hel");
    assert_eq!((decoder.remaining(), decoder.received()), (Some(2), 3));
    input.extend_from_slice(b"lo");
    let (_, decoder) = next_data(decoder, &mut input);
    assert_eq!((decoder.remaining(), decoder.received()), (Some(0), 5));

    let (_, Next::Content(decoder)) = head(chunked("")) else {
        panic!("there is content");
    };
    assert_eq!((decoder.remaining(), decoder.received()), (None, 0));
    let (_, decoder) = next_data(decoder, &mut BytesMut::from("5\r\nhel"));
    assert_eq!((decoder.remaining(), decoder.received()), (None, 3));
}

#[test]
fn content_shares_the_read_buffer() {
    let mut input = BytesMut::from(chunked("5\r\nhello\r\n").as_str());
    let memory = input.as_ptr_range();
    let decoded = HeadDecoder::new(Config::default())
        .decode(&mut input)
        .unwrap();
    let DecodedHead::Complete(_, Next::Content(decoder)) = decoded else {
        panic!("there is content");
    };
    let DecodedContent::Data(data, _) = decoder.decode(&mut input).unwrap() else {
        panic!("there is data");
    };
    assert!(memory.contains(&data.as_ptr()));
}

#[test]
fn octets_behind_a_message_stay_in_the_buffer() {
    for message in [
        request("GET", &["connection: upgrade", "upgrade: a"]),
        with_length(2, "hi"),
        chunked("2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let mut input = BytesMut::from(format!("{message}\r\n\0rest").as_str());
        let decoded = HeadDecoder::new(Config::default())
            .decode(&mut input)
            .unwrap();
        let DecodedHead::Complete(_, next) = decoded else {
            panic!("the head is whole");
        };
        if let Next::Content(decoder) = next {
            let (_, decoder) = next_data(decoder, &mut input);
            let decoded = decoder.decode(&mut input).unwrap();
            assert!(matches!(decoded, DecodedContent::End(..)));
        }
        assert_eq!(input, "\r\n\0rest");
    }
}
