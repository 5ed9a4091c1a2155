"""An application that answers with the number of its process."""

import asyncio
import gc
import os
import time

from journal import tell
from raw_http import body, start, stops_in_lifespan


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    await send(
        start(headers=[(b"connection", b"close"), (b"x-env", os.environb.get(b"FROM_FILE", b""))])
    )
    await send(body(str(os.getpid()).encode()))


async def keeps(scope, receive, send):
    """Answers without an end of the connection."""
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    process = str(os.getpid()).encode()
    await send(start(headers=[(b"content-length", str(len(process)).encode())]))
    await send(body(process))


async def slow(scope, receive, send):
    """Answers after a moment, and tells that it is called."""
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    tell(os.environ["CALLGATE_TEST_KEY"], "called")
    await asyncio.sleep(0.5)
    await send(start(headers=[(b"content-length", b"4")]))
    await send(body(b"slow"))


async def blocks(scope, receive, send):
    """Blocks the event loop where the path says so."""
    if scope["type"] == "http" and scope["path"] == "/block":
        time.sleep(60)
    await app(scope, receive, send)


async def collector(scope, receive, send):
    """Answers with how the collector of cycles runs."""
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    await send(start())
    await send(body(f"{gc.get_freeze_count()} {gc.get_threshold()[0]}".encode()))
