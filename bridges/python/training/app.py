"""The application that the server runs while it is profiled: the ways in which applications receive, send and wait."""

import asyncio

HTML = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"set-cookie", b"session=0123456789abcdef; Path=/; HttpOnly"),
]
CHUNK = b"0123456789abcdef" * 2048


async def app(scope, receive, send):
    if scope["type"] == "http":
        await PATHS[scope["path"]](scope, receive, send)
    elif scope["type"] == "websocket":
        await echo_messages(receive, send)
    else:
        await live(receive, send)


async def live(receive, send):
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def answer(send, body, headers=()):
    headers = [(b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def content(receive):
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body", False):
            return bytes(body)


async def page(scope, receive, send):
    await answer(send, b"<p>Good day</p>" * 40, HTML)


async def fields(scope, receive, send):
    await answer(send, b", ".join(name for name, _ in scope["headers"]))


async def yields(scope, receive, send):
    await asyncio.sleep(0)
    await answer(send, b"later")


async def waits(scope, receive, send):
    await asyncio.sleep(0.001)
    await answer(send, b"much later")


async def threads(scope, receive, send):
    await answer(send, await asyncio.to_thread(lambda: b"from a thread"))


async def echo(scope, receive, send):
    await answer(send, await content(receive))


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HTML})
    for _ in range(16):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body"})


async def file(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HTML})
    await send({"type": "http.response.pathsend", "path": __file__})


async def echo_messages(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({**event, "type": "websocket.send"})


PATHS = {
    "/": page,
    "/fields": fields,
    "/yields": yields,
    "/waits": waits,
    "/threads": threads,
    "/echo": echo,
    "/stream": stream,
    "/file": file,
}


def wsgi(environ, start_response):
    """Echoes, for WSGI."""
    body = environ["wsgi.input"].read() or b"Good day"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
