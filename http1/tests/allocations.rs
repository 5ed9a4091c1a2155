//! How often a request and its response allocate memory.

use std::time::SystemTime;

use allocation_counter::measure;
use bytes::BytesMut;
use callgate_http1::{
    AfterHead, Config, ContentLength, Date, DecodedHead, HeadDecoder, Next, ResponseEncoder,
};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

/// Decodes a request, responds, and gives the map of the response back.
fn exchange(
    decoder: HeadDecoder,
    mut headers: HeaderMap,
    date: &Date,
    input: &mut BytesMut,
    output: &mut BytesMut,
) -> (HeadDecoder, HeaderMap) {
    input.reserve(1024);
    input.extend_from_slice(
        b"GET /where?q=now HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\
          Accept: */*\r\nUser-Agent: a\r\n\r\n",
    );
    let decoded = decoder.decode(input).unwrap();
    let DecodedHead::Complete(request, Next::Head(mut decoder)) = decoded else {
        panic!("the head is whole and has no content");
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let encoder = ResponseEncoder::new(&request);
    let length = ContentLength::Known(5);
    let after = encoder
        .encode(StatusCode::OK, &headers, length, date.into(), output)
        .unwrap();
    let AfterHead::Content(mut content) = after else {
        panic!("the response has content");
    };
    content.encode(b"hello", output).unwrap();
    content.end(output).unwrap();
    output.clear();
    decoder.reuse(headers);
    (decoder, request.headers)
}

#[test]
fn a_usual_request_and_its_response_allocate_nothing_after_the_first() {
    let date = Date::at(SystemTime::now());
    let mut input = BytesMut::with_capacity(4096);
    let mut output = BytesMut::with_capacity(4096);
    let decoder = HeadDecoder::new(Config::default());
    let headers = HeaderMap::with_capacity(4);
    let (decoder, headers) = exchange(decoder, headers, &date, &mut input, &mut output);
    let mut state = Some((decoder, headers));
    let allocations = measure(|| {
        for _ in 0..100 {
            let (decoder, mut headers) = state.take().unwrap();
            headers.clear();
            state = Some(exchange(decoder, headers, &date, &mut input, &mut output));
        }
    });
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
