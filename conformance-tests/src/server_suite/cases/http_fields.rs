//! `http.md`: the header fields of the response.

use callgate::{HttpResponseBody, HttpResponseStart, rule};
use http::HeaderValue;

use crate::Verdict;
use crate::basis::{
    Basis,
    Document::{AsgiHttp, Rfc},
    demands,
};
use crate::probe::Step;
use crate::server_suite::case::{Case, HTTP1, HTTP1_AND_HTTP2, steps};
use crate::server_suite::client_exchange::{ClientExchange, Transport};
use crate::server_suite::fixture::Fixture;
use crate::server_suite::request::{Request, Response};
use crate::server_suite::result::{CaseResult, must};

pub(super) const CASES: &[&[Case]] = &[RESPONSE_HEADERS_KEPT, DEFAULT_HEADERS];

const RESPONSE_HEADERS_KEPT: &[Case] = &[
    Case {
        rule: rule::RESPONSE_HEADERS_KEPT,
        name: "repeated_fields",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application set one field three times.",
        must: "The client is sent it three times, in order.",
        basis: Basis::Standard(&[
            demands(AsgiHttp, "HTTP"),
            demands(AsgiHttp, "HTTP: Response Start - send event"),
        ]),
        steps: steps!(async |fixture, transport| {
            let start = HttpResponseStart::ok()
                .header("set-cookie", "b=2; path=/")
                .header("x-other", "1")
                .header("set-cookie", "a=1, c=3")
                .header("set-cookie", "b=2; path=/");
            let response = response_with_head(fixture, transport, start).await?;
            let seen: Vec<_> = response.fields.get_all("set-cookie").iter().collect();
            must!(
                seen == ["b=2; path=/", "a=1, c=3", "b=2; path=/"],
                "`set-cookie` is {seen:?}"
            );
            Ok(())
        }),
    },
    Case {
        rule: rule::RESPONSE_HEADERS_KEPT,
        name: "every_octet_in_a_value",
        transports: HTTP1_AND_HTTP2,
        does: "Has the application set a field to every octet that a value can hold.",
        must: "The client is sent that value, and the fields around it.",
        basis: Basis::Standard(&[demands(AsgiHttp, "WSGI encoding differences")]),
        steps: steps!(async |fixture, transport| {
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
            let response = response_with_head(fixture, transport, start).await?;
            for (name, expected) in [
                ("x-before", HeaderValue::from_static("1")),
                ("x-octets", value),
                ("x-after", HeaderValue::from_static("2")),
            ] {
                let seen: Vec<_> = response.fields.get_all(name).iter().collect();
                must!(seen == [&expected], "`{name}` is {seen:?}");
            }
            Ok(())
        }),
    },
];

/// Returns the response of an application that sends this head.
async fn response_with_head(
    fixture: &mut Fixture<'_>,
    transport: Transport,
    start: HttpResponseStart,
) -> CaseResult<Response> {
    let server = fixture.server().await?;
    let mut exchange = ClientExchange::begin(server, transport, &Request::get("/")).await?;
    let mut app = server.call().await?;
    app.send(start).await?;
    app.send(HttpResponseBody::last("content")).await?;
    let response = exchange.head().await?;
    app.finish(Step::Return).await?;
    Ok(response)
}

const DEFAULT_HEADERS: &[Case] = &[
    Case {
        rule: rule::DEFAULT_HEADERS,
        name: "a_date_by_default",
        transports: HTTP1,
        does: "Has the application answer without a `date`.",
        must: "The response has one.",
        basis: Basis::Standard(&[demands(Rfc(9110), "6.6.1")]),
        steps: steps!(async |fixture| {
            let response =
                response_with_head(fixture, Transport::Http1, HttpResponseStart::ok()).await?;
            let date = response.field("date");
            must!(
                date.is_some_and(|date| date.ends_with(" GMT")),
                "`date` is {date:?}"
            );
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFAULT_HEADERS,
        name: "a_server_by_default",
        transports: HTTP1,
        does: "Has the application answer without a `server` field.",
        must: "The response has one.",
        basis: Basis::CallgateOnly(
            "RFC 9110, 10.2.4 permits a `server` field, and does not demand it",
        ),
        steps: steps!(async |fixture| {
            let response =
                response_with_head(fixture, Transport::Http1, HttpResponseStart::ok()).await?;
            must!(
                response.field("server").is_some(),
                "there is no `server` field"
            );
            Ok(())
        }),
    },
    Case {
        rule: rule::DEFAULT_HEADERS,
        name: "fields_of_the_applications_own",
        transports: HTTP1,
        does: "Has the application set `date` and `server`.",
        must: "The response has the application's and no other.",
        basis: Basis::CallgateOnly(
            "ASGI does not say whether a server adds fields that the application has set",
        ),
        steps: steps!(async |fixture| {
            const DATE: &str = "Tue, 15 Nov 1994 08:12:31 GMT";
            let start = HttpResponseStart::ok()
                .header("date", DATE)
                .header("server", "the application");
            let response = response_with_head(fixture, Transport::Http1, start).await?;
            for (name, expected) in [("date", DATE), ("server", "the application")] {
                let seen: Vec<_> = response.fields.get_all(name).iter().collect();
                must!(seen == [expected], "`{name}` is {seen:?}");
            }
            Ok(())
        }),
    },
];
