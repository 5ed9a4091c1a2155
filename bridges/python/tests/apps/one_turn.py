"""An application of bare ASGI that holds its event loop up, so that several requests are there in its next turn."""

import os
import socket
import time

from journal import tell
from raw_http import hello, stops_in_lifespan

client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
client.bind(os.environ["CALLGATE_TEST_SOCKET"])
client.settimeout(15)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    if scope["path"] == "/waits":
        tell(scope, "waits")
        client.recv(1)
    elif scope["path"] == "/long":
        time.sleep(0.01)
    await hello(scope, receive, send)
