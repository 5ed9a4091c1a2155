//! Rules for the contents of scopes. The document is `overview.md`.

super::chapter! { SCOPE:
    METHOD_AS_RECEIVED = "SCOPE-01" Server Must
        "A server MUST pass the method exactly as received, including methods that it does not know.";
    ORIGIN_FORM = "SCOPE-02" Server Must
        "A server MUST pass the target in origin form: the path and the query, without scheme and authority.";
    ABSOLUTE_FORM = "SCOPE-03" Server Must
        "A server MUST replace the `host` field with the authority of the target when the target came in absolute form.";
    ASTERISK_FORM = "SCOPE-04" Server Must
        "A server MUST pass the target of `OPTIONS *` as the path `*`.";
    BAD_PERCENT_ENCODING = "SCOPE-05" Server Must
        "A server MUST answer a target whose path has a `%` that is not followed by two hexadecimal digits with 400, without calling the application.";
    RAW_PATH = "SCOPE-06" Server Must
        "A server MUST pass the octets of the received path unchanged; the decoded path is their percent-decoding read as UTF-8, with U+FFFD for what is not UTF-8.";
    RAW_QUERY = "SCOPE-07" Server Must
        "A server MUST pass the query as received, undecoded and without the `?`.";
    HEADERS_AS_RECEIVED = "SCOPE-08" Server Must
        "A server MUST pass every header field, its name in lower case, repeated fields as separate values in the order received.";
    COOKIE_CRUMBS = "SCOPE-09" Server Must
        "A server MUST join the `cookie` fields of an HTTP/2 request into one, separated by `; `.";
    AUTHORITY_IS_HOST = "SCOPE-10" Server Must
        "A server MUST pass the `:authority` of an HTTP/2 request as the `host` field.";
    NO_PSEUDO_HEADERS = "SCOPE-11" Server Must
        "A server MUST NOT pass pseudo-header fields as header fields.";
    VERSION = "SCOPE-12" Server Must
        "A server MUST pass the HTTP version of the request: 1.0, 1.1 or 2.";
    SCHEME = "SCOPE-13" Server Must
        "A server MUST pass the scheme of the connection: secured or not.";
    ADDRESSES = "SCOPE-14" Server Must
        "A server MUST pass the client's address and the address that the client connected to, when the transport has them.";
    ROOT_PATH = "SCOPE-15" Server Must
        "A server that is configured with a root path MUST pass it as `root_path` and MUST put it in front of the path.";
    MOUNT = "SCOPE-16" Application Must
        "An application that mounts another under a prefix MUST append the prefix to `root_path` and MUST leave the target as it is.";
    STATE_IS_SHARED = "SCOPE-17" Server Must
        "A server MUST pass the state that lifespan start-up handed over in every later scope.";
    EXTENSIONS_ARE_ISOLATED = "SCOPE-18" Server Must
        "A server MUST NOT let a value that was put into the extensions of one scope be seen in another exchange.";
    FEATURES_OFFERED = "SCOPE-19" Server Must
        "A server MUST list in `features` each feature that it offers on the exchange and no other.";
    HOST_REQUIRED = "SCOPE-20" Server Must
        "A server MUST answer an HTTP/1.1 request that has no `host` field, or more than one, with 400, without calling the application.";
    CONNECT_REFUSED = "SCOPE-21" Server Must
        "A server MUST answer a CONNECT request that does not open a WebSocket with 501, without calling the application.";
    SUBPROTOCOLS_OFFERED = "SCOPE-22" Server Must
        "A server MUST list the subprotocols that the client offers for a WebSocket in the client's order.";
}
