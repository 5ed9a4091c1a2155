"""Applications of bare ASGI that show how a call takes its first step."""

import asyncio

from journal import tell
from raw_http import hello, stops_in_lifespan

calls_of_call_soon = 0
served = []


async def counted(scope, receive, send):
    """Tells how often `call_soon` of the event loop has been called. The loop has an own attribute for that."""
    global calls_of_call_soon
    if scope["type"] == "lifespan":
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon

        def count(*arguments, **keywords):
            global calls_of_call_soon
            calls_of_call_soon += 1
            return call_soon(*arguments, **keywords)

        loop.call_soon = count
        return await stops_in_lifespan(scope, receive, send)
    if scope["path"] == "/waits":
        await asyncio.sleep(0)
    tell(scope, calls_of_call_soon)
    await hello(scope, receive, send)


async def nested(scope, receive, send):
    """`/outer` runs its event loop inside of itself, until another call has been served there."""
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if scope["path"] == "/outer":
        await asyncio.sleep(0)
        tell(scope, "begun")
        while not served:
            loop._run_once()
        assert asyncio.current_task() is task is not served[0]
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
    await hello(scope, receive, send)
    assert asyncio.current_task() is task
    served.append(task)
