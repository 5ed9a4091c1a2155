"""Applications of ASGI that keep the rules: an echo of requests and messages with a lifespan, and a watcher."""

import asyncio


async def app(scope, receive, send):
    if scope["type"] == "http":
        await echo(scope, receive, send)
    elif scope["type"] == "websocket":
        await echo_messages(receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(scope["state"], receive, send)
    else:
        raise NotImplementedError(f"{scope['type']} is not served")


async def echo(scope, receive, send):
    assert scope["state"]["answer"] == 42
    body = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        body += event["body"]
        if not event["more_body"]:
            break
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo_messages(receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


async def lifespan(state, receive, send):
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            state["answer"] = 42
            await send({"type": "lifespan.startup.complete"})
        elif event["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return


async def watching(scope, receive, send):
    """Responds in a task, which it cancels if the client disconnects first."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body, is_whole = [], asyncio.Event()

    async def watch():
        while (event := await receive())["type"] != "http.disconnect":
            body.append(event["body"])
            if not event["more_body"]:
                is_whole.set()

    async def respond():
        await is_whole.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"".join(body)})

    tasks = [asyncio.create_task(watch()), asyncio.create_task(respond())]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
