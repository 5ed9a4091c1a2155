"""An application of ASGI that keeps the rules: it echoes requests and messages, and has a lifespan."""


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
