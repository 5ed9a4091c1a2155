"""Applications of bare ASGI, and what is no application."""

import asyncio
import contextlib
import logging
import threading
from urllib.parse import unquote


def start(status=200):
    headers = [(b"content-type", b"text/plain")]
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(octets=b"", more=False):
    return {"type": "http.response.body", "body": octets, "more_body": more}


class Raw:
    """Each path is a method. What has happened is in the journal."""

    def __init__(self):
        self.journal = []
        self.changed = asyncio.Condition()
        self.gate = asyncio.Event()
        self.guests = asyncio.Barrier(200)
        self.background = None

    async def note(self, entry):
        self.journal.append(entry)
        async with self.changed:
            self.changed.notify_all()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.lifespan(scope, receive, send)
        if scope["type"] == "websocket":
            return await self.websocket(receive, send)
        await getattr(self, scope["path"].rpartition("/")[2])(scope, receive, send)

    async def lifespan(self, scope, receive, send):
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["visits"] = []
        scope["state"]["greeting"] = "hello"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        await send({"type": "lifespan.shutdown.complete"})

    async def websocket(self, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
        await self.note(f"closed with {event['code']}")

    async def answer(self, send, text):
        await send(start())
        await send(body(str(text).encode()))

    async def echo(self, scope, receive, send):
        await send(start())
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            more = event["more_body"]
            await send(body(event["body"], more))

    async def upload(self, scope, receive, send):
        """Takes one part, and the others when the gate is open."""
        event = await receive()
        await self.note("one part")
        await self.gate.wait()
        size = len(event["body"])
        while event["more_body"]:
            event = await receive()
            size += len(event["body"])
        await self.answer(send, size)

    async def download(self, scope, receive, send):
        """Sends 128 MB."""
        await send(start())
        for number in range(2_000):
            await send(body(b"x" * 65536, more=True))
            self.journal.append(number)
        await send(body())

    async def open(self, scope, receive, send):
        self.gate.set()
        await self.answer(send, "open")

    async def fail(self, scope, receive, send):
        raise RuntimeError("the query " + scope["query_string"].decode())

    async def warn(self, scope, receive, send):
        logging.getLogger("raw.shop").warning("low on %s\nERROR forged", "apples")
        await self.answer(send, "warned")

    async def exit(self, scope, receive, send):
        await asyncio.sleep(0)
        raise SystemExit(3)

    async def wait(self, scope, receive, send):
        """Waits for the client to go."""
        await self.note("waits")
        try:
            event = await receive()
            while event["type"] == "http.request":
                event = await receive()
            await self.note(event["type"])
        except asyncio.CancelledError:
            await self.note("cancelled")
            raise

    async def hold(self, scope, receive, send):
        """Does not look at the client."""
        await self.note("waits")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.note("cancelled")
            raise

    async def noted(self, scope, receive, send):
        """Answers once the journal has the entry of the query."""
        entry = unquote(scope["query_string"].decode())
        async with self.changed:
            await self.changed.wait_for(lambda: entry in self.journal)
        await self.answer(send, entry)

    async def length(self, scope, receive, send):
        await self.answer(send, len(self.journal))

    async def untick(self, scope, receive, send):
        """Has the event loop forget the tick, by which the guest notices its timers."""
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def without_tick(delay, callback, *arguments, **keywords):
            if callback.__name__ != "tick":
                return call_later(delay, callback, *arguments, **keywords)

        loop.call_later = without_tick
        await self.answer(send, "no tick")

    async def meet(self, scope, receive, send):
        """Answers once 200 calls are here."""
        await self.guests.wait()
        await self.answer(send, "met")

    async def state(self, scope, receive, send):
        scope["state"]["visits"].append(1)
        visits = len(scope["state"]["visits"])
        scope["state"]["greeting"] += "!"
        await self.answer(send, f"{scope['state']['greeting']} {visits}")

    async def scope(self, scope, receive, send):
        await self.answer(send, f"{scope['root_path']} {scope['path']}")

    async def thread(self, scope, receive, send):
        thread = threading.current_thread()
        await self.answer(send, f"{threading.get_native_id()} {thread is threading.main_thread()}")

    async def leave(self, scope, receive, send):
        """Leaves a task behind, which writes to the file of the query when it is cancelled."""
        path = scope["query_string"].decode()

        async def stay():
            try:
                await asyncio.Event().wait()
            finally:
                with open(path, "w") as file:
                    file.write("ended")

        self.background = asyncio.create_task(stay())
        await asyncio.sleep(0)
        await self.answer(send, "left")

    async def stay(self, scope, receive, send):
        """Leaves a task behind that does not end."""

        async def stay():
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()

        self.background = asyncio.create_task(stay())
        await asyncio.sleep(0)
        await self.answer(send, "left")

    async def child(self, scope, receive, send):
        process = await asyncio.create_subprocess_exec(
            "echo", "from a process", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        await self.answer(send, out.decode())

    async def executor(self, scope, receive, send):
        loop = asyncio.get_running_loop()
        await self.answer(send, await loop.run_in_executor(None, lambda: "from a thread"))


def create():
    return Raw()


def fails():
    raise ValueError("no settings")


def exits():
    raise SystemExit("no use")


number = 7


def wsgi(environ, start_response):
    start_response("200 OK", [("content-type", "text/plain")])
    return [environ["PATH_INFO"].encode(), b" of WSGI"]
