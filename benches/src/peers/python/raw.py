"""Applications of ASGI without a framework: as little Python as a work allows."""

import asyncio
import os

HELLO = b"Hello, world!\n"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HELLO))],
}
BODY = {"type": "http.response.body", "body": HELLO}
CHUNK = b"x" * 65536
CHUNKS = 160


async def app(scope, receive, send):
    if scope["type"] == "http":
        await PATHS[scope["path"]](receive, send)
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


async def hello(receive, send):
    await send(START)
    await send(BODY)


async def answer(send, body):
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(receive, send):
    """Sends the content back."""
    body = bytearray()
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    await answer(send, bytes(body))


async def upload(receive, send):
    """Sends the length of the content back."""
    length = 0
    more = True
    while more:
        event = await receive()
        length += len(event.get("body", b""))
        more = event.get("more_body", False)
    await answer(send, b"%d" % length)


async def stream(receive, send):
    """Sends 10 MB in chunks."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body"})


connections = []


async def ask(receive, send):
    """Asks another server over a socket of its own, which is kept."""
    if connections:
        reader, writer = connections.pop()
    else:
        host, port = os.environ["BENCH_SOCKET"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(HELLO)
    line = await reader.readline()
    connections.append((reader, writer))
    await answer(send, line)


async def echo_messages(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event["text"]})


PATHS = {"/": hello, "/echo": echo, "/upload": upload, "/stream": stream, "/ask": ask}
