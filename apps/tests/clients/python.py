"""Tests the gallery at the URL of the first argument with httpx and websockets."""

import asyncio
import itertools
import json
import random
import sys

import httpx
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

TIMEOUT = 60


def requests(url: str, http2: bool) -> None:
    with httpx.Client(
        base_url=url, http1=not http2, http2=http2, timeout=TIMEOUT, trust_env=False
    ) as client:
        response = client.get("/hello/")
        assert response.status_code == 200, response
        assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1"), response.http_version
        assert response.text

        content = bytes(range(256)) * 4096
        assert client.post("/echo/", content=content).content == content

        def parts():
            for n in range(100):
                yield f"part {n}\n".encode()

        assert client.post("/echo/", content=parts()).content == b"".join(parts())

        scope = client.get("/scope/caf%C3%A9?q=%20", headers=[("x-many", "1"), ("x-many", "2")])
        assert scope.json()["type"] == "http", scope.text
        assert scope.json()["raw_path"] == "/scope/caf%C3%A9", scope.text
        assert scope.json()["query_string"] == "q=%20", scope.text
        assert [value for name, value in scope.json()["headers"] if name == "x-many"] == ["1", "2"]

        assert client.head("/hello/").headers["content-length"] == str(len(response.content))
        assert client.get("/nowhere").status_code == 404


async def many(url: str) -> None:
    async with httpx.AsyncClient(
        base_url=url, http1=False, http2=True, timeout=TIMEOUT, trust_env=False
    ) as client:
        async def echo(n: int) -> None:
            content = str(n).encode() * 5000
            assert (await client.post("/echo/", content=content)).content == content

        await asyncio.gather(*(echo(n) for n in range(50)))


async def messages(url: str) -> None:
    async with websockets.connect(
        url.replace("http", "ws", 1) + "/echo/",
        subprotocols=["one", "two"],
        open_timeout=TIMEOUT,
        proxy=None,
    ) as websocket:
        assert websocket.subprotocol == "one", websocket.subprotocol
        for message in ["", "text", "é" * 100_000, b"", bytes(range(256)) * 1000]:
            await websocket.send(message)
            assert await asyncio.wait_for(websocket.recv(), TIMEOUT) == message
        await websocket.send(["frag", "ments"])
        assert await asyncio.wait_for(websocket.recv(), TIMEOUT) == "fragments"
        await asyncio.wait_for(await websocket.ping(b"payload"), TIMEOUT)
        await websocket.close(4000, "enough")
        assert websocket.close_code == 4000, websocket.close_code

    await compressed(url)

    try:
        await websockets.connect(url.replace("http", "ws", 1) + "/nowhere", proxy=None)
    except websockets.exceptions.InvalidStatus as error:
        assert error.response.status_code == 404, error.response
    else:
        raise AssertionError("a WebSocket to nowhere was opened")


async def compressed(url: str) -> None:
    """Exchanges messages with each combination of the parameters of permessage-deflate."""
    numbers = random.Random(7692)
    patterns = [numbers.randbytes(numbers.randrange(1, 200)) for _ in range(20)]
    messages = [pattern * numbers.randrange(1, 200) for pattern in patterns]
    messages += ["short", "é" * 1000, json.dumps([{"id": n, "square": n * n} for n in range(1000)])]
    for contexts in itertools.product([False, True], repeat=2):
        for windows in itertools.product([None, 9, 12, 15], [None, True, 9, 15]):
            factory = ClientPerMessageDeflateFactory(*contexts, *windows)
            async with websockets.connect(
                url.replace("http", "ws", 1) + "/echo/",
                compression=None,
                extensions=[factory],
                open_timeout=TIMEOUT,
                proxy=None,
            ) as websocket:
                names = [extension.name for extension in websocket.protocol.extensions]
                assert names == ["permessage-deflate"], (contexts, windows)
                for message in messages + messages:
                    await websocket.send(message)
                    assert await asyncio.wait_for(websocket.recv(), TIMEOUT) == message
                half = len(messages[0]) // 2
                await websocket.send([messages[0][:half], messages[0][half:]])
                assert await asyncio.wait_for(websocket.recv(), TIMEOUT) == messages[0]


def main() -> None:
    url = sys.argv[1]
    for http2 in [False, True]:
        requests(url, http2)
    asyncio.run(many(url))
    asyncio.run(messages(url))


main()
