"""An application that answers with the number of its process."""

import os

from raw_http import body, start, stops_in_lifespan


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    await send(
        start(headers=[(b"connection", b"close"), (b"x-env", os.environb.get(b"FROM_FILE", b""))])
    )
    await send(body(str(os.getpid()).encode()))
