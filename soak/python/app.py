"""What the soak of the wheel asks: a plain application of ASGI with a route of FastAPI, and what the process holds."""

import asyncio
import gc
import json
import os

from fastapi import FastAPI, Request

api = FastAPI()


@api.get("/fastapi")
async def hello(name: str = "world"):
    return {"hello": name}


@api.post("/fastapi/upload")
async def upload(request: Request):
    return {"size": sum([len(chunk) async for chunk in request.stream()])}


async def answer(send, body):
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def wait(receive):
    """Waits until the client goes."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def stream(send):
    """Sends content, of which the client reads a part."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):
        await send({"type": "http.response.body", "body": bytes(2**14), "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body"})


async def echo(receive, send):
    """Sends the messages of a WebSocket back, until its client goes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


def held():
    """Returns what the process holds, after a collection of all cycles."""
    gc.collect()
    with open("/proc/self/statm") as statm:
        rss = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "rss": rss,
        "objects": len(gc.get_objects()),
        "tasks": len(asyncio.all_tasks()),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
    elif scope["type"] == "lifespan" or scope["path"].startswith("/fastapi"):
        await api(scope, receive, send)
    elif scope["path"] == "/":
        await answer(send, b"hello")
    elif scope["path"] == "/wait":
        await wait(receive)
    elif scope["path"] == "/stream":
        await stream(send)
    else:
        await answer(send, json.dumps(held()).encode())
