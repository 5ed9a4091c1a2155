"""Applications of bare ASGI for `test_http2.py`: those of `raw_http`, and what several streams do together."""

import asyncio

import raw_http
import raw_websocket
from journal import tell
from raw_http import body, read, start

waiting = []


async def meets(scope, receive, send):
    """Answers when five calls are there."""
    waiting.append(asyncio.get_running_loop().create_future())
    if len(waiting) == 5:
        for future in waiting:
            future.set_result(None)
        waiting.clear()
    else:
        await waiting[-1]
    await raw_http.hello(scope, receive, send)


async def large(scope, receive, send):
    await send(start())
    for number in range(256):
        await send(body(bytes([number]) * 2**15, more=True))
    await send(body())


async def joins_cookies(scope, receive, send):
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    await send(start(headers=[(b"content-length", b"%d" % len(cookies))]))
    await send(body(cookies))


async def answers_in_a_moment(scope, receive, send):
    await read(receive)
    tell(scope, "called")
    await asyncio.sleep(0.3)
    await raw_http.hello(scope, receive, send)


PATHS = {
    f"/{function.__name__}": function
    for function in (meets, large, joins_cookies, answers_in_a_moment)
}


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        return await raw_websocket.app(scope, receive, send)
    await PATHS.get(scope["path"], raw_http.app)(scope, receive, send)
