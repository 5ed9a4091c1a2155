"""An application of bare ASGI that takes no offence at a client that goes, and counts what is left of the calls."""

import asyncio
import gc
import os
from collections import Counter

from raw_http import body, start, stops_in_lifespan


async def echo(receive, send):
    await asyncio.sleep(0)
    octets, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        octets += event["body"]
        more = event["more_body"]
    await asyncio.sleep(0.001)
    await send(start(headers=[(b"content-length", b"%d" % len(octets))]))
    await send(body(octets))


async def hello(receive, send):
    await send(start(headers=[(b"content-length", b"5")]))
    await send(body(b"hello"))


async def echo_at_once(receive, send):
    octets, more = b"", True
    while more:
        event = await receive()
        octets += event["body"]
        more = event["more_body"]
    await send(start(headers=[(b"content-length", b"%d" % len(octets))]))
    await send(body(octets))


async def stream(receive, send):
    await send(start())
    for number in range(20):
        await send(body(b"%04d" % number * 1000, more=True))
        await asyncio.sleep(0 if number % 4 else 0.001)
    await send(body())


async def wait(receive, send):
    """Waits for the disconnect, or answers after a moment."""
    await receive()
    try:
        async with asyncio.timeout(0.01):
            await receive()
    except TimeoutError:
        await send(start(headers=[(b"content-length", b"0")]))
        await send(body())


async def raises(receive, send):
    raise LookupError("it is nowhere")


def octets_of_memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def count(receive, send):
    """Answers with the numbers of tasks, of open files, of coroutines and of all objects, and with the resident octets."""
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    numbers = (
        len(asyncio.all_tasks()),
        files,
        kinds["coroutine"],
        kinds.total(),
        octets_of_memory(),
    )
    await send(start(headers=[(b"connection", b"close")]))
    await send(body(" ".join(map(str, numbers)).encode()))


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


PATHS = {
    f"/{call.__name__}": call for call in (hello, echo, echo_at_once, stream, wait, raises, count)
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    try:
        if scope["type"] == "websocket":
            await websocket(receive, send)
        else:
            await PATHS[scope["path"]](receive, send)
    except OSError:
        pass  # What a send may raise when the client is gone.
