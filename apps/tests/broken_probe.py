"""The probe behind a middleware that keeps from the application that its client is gone."""

import asgi_probe


async def app(scope, receive, send):
    async def receive_without_disconnect():
        event = await receive()
        if event["type"] == "http.disconnect":
            return {"type": "http.request", "body": b"", "more_body": False}
        return event

    await asgi_probe.app(scope, receive_without_disconnect, send)
