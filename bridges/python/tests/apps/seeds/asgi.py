# asgi.py
from typing import Coroutine


async def application(scope: dict, receive: Coroutine, send: Coroutine):
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [[b"content-type", b"text/html"]],
        }
    )
    await send({"type": "http.response.body", "body": b"ASGI hello!"})
