"""Applications that break rules of the protocol which ASGI and WSGI do not have, one a path."""

from raw_http import body, start, stops_in_lifespan


def ok(*fields, status=200, **keys):
    return start(status, [*fields]) | keys


LENGTH = (b"content-length", b"5")

PATHS = {
    "/length_with_204": [ok((b"content-length", b"0"), status=204), body()],
    "/content_with_204": [ok(status=204), body(b"hello")],
    "/content_with_304": [ok(LENGTH, status=304), body(b"hello")],
    "/content_with_205": [ok(LENGTH, status=205), body(b"hel", more=True), body(b"lo")],
    "/file_with_204": [
        ok(status=204),
        {"type": "http.response.pathsend", "path": __file__},
    ],
    "/length_twice": [ok(LENGTH, LENGTH), body(b"hello")],
    "/connection": [
        ok((b"connection", b"keep-alive"), (b"keep-alive", b"timeout=5")),
        body(b"hello"),
    ],
    "/late_hint": [
        ok(),
        {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]},
        body(b"hello"),
    ],
    "/after_the_end": [ok(), body(b"hello"), body(b"more"), ok(), body(b"again")],
    "/trailers_with_length": [
        ok(LENGTH, (b"trailer", b"x-sum"), trailers=True),
        body(b"hello"),
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]},
    ],
    "/trailers": [
        ok((b"trailer", b"X-One, x-two"), trailers=True),
        body(b"hello"),
        {
            "type": "http.response.trailers",
            "headers": [(b"x-one", b"1"), (b"x-two", b"2"), (b"x-three", b"3")],
        },
    ],
    "/forbidden_trailer": [
        ok((b"trailer", b"content-type, x-one"), trailers=True),
        body(b"hello"),
        {
            "type": "http.response.trailers",
            "headers": [(b"content-type", b"text/plain"), (b"x-one", b"1")],
        },
    ],
    "/subprotocol": [{"type": "websocket.accept", "subprotocol": "never"}],
    "/subprotocol_as_field": [
        {
            "type": "websocket.accept",
            "headers": [(b"sec-websocket-protocol", b"chat"), (b"content-length", b"0")],
        }
    ],
    "/refused": [{"type": "websocket.close", "code": 1006}],
    "/long_reason": [
        {"type": "websocket.accept"},
        {"type": "websocket.close", "code": 4000, "reason": "ä" * 100},
    ],
    "/text_and_bytes": [
        {"type": "websocket.accept"},
        {"type": "websocket.send", "text": "text", "bytes": b"bytes"},
        {"type": "websocket.close"},
    ],
}


async def falls_back(send):
    """Sends content in place of a file that is not there."""
    await send(ok())
    try:
        await send({"type": "http.response.pathsend", "path": __file__ + ".not_there"})
    except RuntimeError:
        await send(body(b"there is no file"))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    await receive()
    if scope["path"] == "/falls_back":
        return await falls_back(send)
    for event in PATHS[scope["path"]]:
        await send(event)


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/length_with_204":
        start_response("204 No Content", [("Content-Length", "0")])
        return []
    if path == "/content_with_304":
        start_response("304 Not Modified", [])
        return [b"hello"]
    fields = [("Content-Length", "5"), ("Connection", "keep-alive")]
    if path == "/length_twice":
        fields.append(("Content-Length", "5"))
    start_response("200 OK", fields)
    return [b"hello"]
