"""An application that ends its process by `SystemExit`, at a step that the path names."""

import asyncio

from raw_http import body, start


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        try:
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            # What closes a pool of connections waits as well.
            await asyncio.sleep(0.01)
            print("closed", flush=True)
        return await send({"type": "lifespan.shutdown.complete"})
    match scope["path"]:
        case "/later":
            await asyncio.sleep(0.01)
        case "/after_content":
            await receive()
        case "/in_child":
            await asyncio.create_task(exit_after_content(receive))
        case "/":
            await send(start(headers=[(b"content-length", b"5")]))
            return await send(body(b"hello"))
    raise SystemExit(7)


async def exit_after_content(receive):
    await receive()
    raise SystemExit(7)
