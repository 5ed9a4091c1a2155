//! `http.md`: the header fields of the response.

use callgate::{HttpResponseBody, HttpResponseStart};
use http::HeaderValue;

use crate::Verdict;
use crate::probe::Step;
use crate::server_suite::bench::Bench;
use crate::server_suite::case::{
    Asgi::{Differs, Shared},
    Case, Outcome, case, must,
};
use crate::server_suite::exchange::{Exchange, Over};
use crate::server_suite::request::{Request, Response};

const SERVER: &str = "ASGI does not ask for a `server` field";

pub(super) const CASES: &[Case] = &[
    case!(
        repeated_fields: RESPONSE_HEADERS_KEPT, Shared,
        "Has the application set one field three times.",
        "The client is sent it three times, in order."
    ),
    case!(
        repeated_fields_over_http2: RESPONSE_HEADERS_KEPT, Shared,
        "Has the application set one field three times.",
        "The client is sent it three times, in order."
    ),
    case!(
        every_octet_in_a_value: RESPONSE_HEADERS_KEPT, Shared,
        "Has the application set a field to every octet that a value can hold.",
        "The client is sent that value, and the fields around it."
    ),
    case!(
        every_octet_in_a_value_over_http2: RESPONSE_HEADERS_KEPT, Shared,
        "Has the application set a field to every octet that a value can hold.",
        "The client is sent that value, and the fields around it."
    ),
    case!(
        a_date_by_default: DEFAULT_HEADERS, Shared,
        "Has the application answer without a `date`.",
        "The response has one."
    ),
    case!(
        a_server_by_default: DEFAULT_HEADERS, Differs(SERVER),
        "Has the application answer without a `server` field.",
        "The response has one."
    ),
    case!(
        fields_of_the_applications_own: DEFAULT_HEADERS, Differs(SERVER),
        "Has the application set `date` and `server`.",
        "The response has the application's and no other."
    ),
];

async fn repeated_fields(bench: &mut Bench<'_>) -> Outcome {
    repeated(bench, Over::Http1).await
}

async fn repeated_fields_over_http2(bench: &mut Bench<'_>) -> Outcome {
    repeated(bench, Over::Http2).await
}

async fn repeated(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let start = HttpResponseStart::ok()
        .header("set-cookie", "b=2; path=/")
        .header("x-other", "1")
        .header("set-cookie", "a=1, c=3")
        .header("set-cookie", "b=2; path=/");
    let response = started(bench, over, start).await?;
    let seen: Vec<_> = response.fields.get_all("set-cookie").iter().collect();
    must!(
        seen == ["b=2; path=/", "a=1, c=3", "b=2; path=/"],
        "`set-cookie` is {seen:?}"
    );
    Ok(())
}

async fn every_octet_in_a_value(bench: &mut Bench<'_>) -> Outcome {
    every_octet(bench, Over::Http1).await
}

async fn every_octet_in_a_value_over_http2(bench: &mut Bench<'_>) -> Outcome {
    every_octet(bench, Over::Http2).await
}

/// What would end the field, CR and LF, cannot be put into a value, nor can NUL; all else can.
async fn every_octet(bench: &mut Bench<'_>, over: Over) -> Outcome {
    let octets: Vec<u8> = (0..=u8::MAX)
        .filter(|octet| HeaderValue::from_bytes(&[b'<', *octet, b'>']).is_ok())
        .flat_map(|octet| [b'<', octet, b'>'])
        .collect();
    let value = HeaderValue::from_bytes(&octets)
        .map_err(|error| Verdict::failed(format!("the case is wrong: {error}")))?;
    let start = HttpResponseStart::ok()
        .header("x-before", "1")
        .header("x-octets", value.clone())
        .header("x-after", "2");
    let response = started(bench, over, start).await?;
    for (name, expected) in [
        ("x-before", HeaderValue::from_static("1")),
        ("x-octets", value),
        ("x-after", HeaderValue::from_static("2")),
    ] {
        let seen: Vec<_> = response.fields.get_all(name).iter().collect();
        must!(seen == [&expected], "`{name}` is {seen:?}");
    }
    Ok(())
}

async fn a_date_by_default(bench: &mut Bench<'_>) -> Outcome {
    let response = started(bench, Over::Http1, HttpResponseStart::ok()).await?;
    let date = response.field("date");
    must!(
        date.is_some_and(|date| date.ends_with(" GMT")),
        "`date` is {date:?}"
    );
    Ok(())
}

async fn a_server_by_default(bench: &mut Bench<'_>) -> Outcome {
    let response = started(bench, Over::Http1, HttpResponseStart::ok()).await?;
    must!(
        response.field("server").is_some(),
        "there is no `server` field"
    );
    Ok(())
}

async fn fields_of_the_applications_own(bench: &mut Bench<'_>) -> Outcome {
    const DATE: &str = "Tue, 15 Nov 1994 08:12:31 GMT";
    let start = HttpResponseStart::ok()
        .header("date", DATE)
        .header("server", "the application");
    let response = started(bench, Over::Http1, start).await?;
    for (name, expected) in [("date", DATE), ("server", "the application")] {
        let seen: Vec<_> = response.fields.get_all(name).iter().collect();
        must!(seen == [expected], "`{name}` is {seen:?}");
    }
    Ok(())
}

/// The response that the application starts like this.
async fn started(bench: &mut Bench<'_>, over: Over, start: HttpResponseStart) -> Outcome<Response> {
    let server = bench.server().await?;
    let mut exchange = Exchange::begin(server, over, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.send(start).await?;
    app.send(HttpResponseBody::last("content")).await?;
    let response = exchange.head().await?;
    app.finish(Step::Return).await?;
    Ok(response)
}
