//! The documents of the protocol, each a page. The same texts are in `spec/docs` of the repository.
//!
//! [`overview`] is the first to read. The address of a rule is that of its document with its ID as the
//! fragment: [`Rule::document_url`](crate::rule::Rule::document_url) returns it.

macro_rules! documents {
    ($($name:ident, $file:literal;)+) => {
        $(
            #[doc = include_str!(concat!(env!("OUT_DIR"), "/", $file))]
            pub mod $name {}
        )+
    };
}

documents! {
    overview, "overview.md";
    http, "http.md";
    websocket, "websocket.md";
    lifespan, "lifespan.md";
    features, "features.md";
    tls, "tls.md";
    serialised, "serialised.md";
    coming_from_asgi, "coming-from-asgi.md";
}
