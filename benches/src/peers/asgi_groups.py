"""The group of the works of the channel layer, in ASGI: each WebSocket sends to all, and receives from all.

Each application publishes and receives as the documents of its library show, and does nothing else. The environment
variable BENCH_REDIS has the URL of the Redis.
"""

import asyncio
import os

URL = os.environ["BENCH_REDIS"]
GROUP = "bench"


def channels(layer):
    """The channel layer of Django's Channels, without the dispatch of its consumers."""

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            return
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)

        async def publish():
            while True:
                event = await receive()
                if event["type"] == "websocket.connect":
                    await send({"type": "websocket.accept"})
                elif event["type"] == "websocket.receive":
                    await layer.group_send(GROUP, {"type": "group.message", "text": event["text"]})
                else:
                    return

        async def forward():
            while True:
                message = await layer.receive(channel)
                await send({"type": "websocket.send", "text": message["text"]})

        try:
            await first_completed(publish(), forward())
        finally:
            await layer.group_discard(GROUP, channel)

    return app


def broadcaster():
    """Encode's broadcaster."""
    from broadcaster import Broadcast

    broadcast = Broadcast(URL)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await serve_lifespan(receive, send, broadcast)
        elif scope["type"] == "websocket":
            async with broadcast.subscribe(channel=GROUP) as subscriber:
                await first_completed(publish(receive, send), forward(subscriber, send))

    async def publish(receive, send):
        while True:
            event = await receive()
            if event["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif event["type"] == "websocket.receive":
                await broadcast.publish(channel=GROUP, message=event["text"])
            else:
                return

    async def forward(subscriber, send):
        async for event in subscriber:
            await send({"type": "websocket.send", "text": event.message})

    return app


async def serve_lifespan(receive, send, broadcast):
    await receive()
    await broadcast.connect()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await broadcast.disconnect()
    await send({"type": "lifespan.shutdown.complete"})


async def first_completed(*coroutines):
    """Runs until one of the coroutines is done, and then cancels the others."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def channels_redis():
    from channels_redis.core import RedisChannelLayer

    return channels(RedisChannelLayer(hosts=[URL]))


def channels_redis_pubsub():
    from channels_redis.pubsub import RedisPubSubChannelLayer

    return channels(RedisPubSubChannelLayer(hosts=[URL]))
