"""The probe for servers of ASGI: what `callgate_conformance::Probe` is for servers of Callgate.

An application that does what the server suite tells it to, and tells the suite what it saw. The two
talk JSON, an object a line, over a connection that the probe makes to the address in the environment
variable CALLGATE_PROBE; a request can bring its first steps along in its `probe` header field. What
is said is defined in `src/probe/protocol.rs`. Scopes and events are told in Callgate's serialised
form (`spec/docs/serialised.md`), so this file also translates between that and ASGI's.

It needs Python 3.9 or later and nothing else:

    callgate-conformance server --asgi \\
      --command 'uvicorn --app-dir conformance-tests asgi_probe:app --port {port} {flags}'
"""

import asyncio
import base64
import ipaddress
import json
import os
import sys
import urllib.parse

VARIABLE = "CALLGATE_PROBE"
FIELD = b"probe"

# How often the event loop goes round before a fence is told: what is ready by then gets its turn.
FENCE_ROUNDS = 20


async def app(scope, receive, send):
    link = await connected()
    call = Call(link, scope, receive, send)
    await call.run(first_steps(scope))


def first_steps(scope):
    """The steps that a request brings along."""
    for name, value in scope.get("headers", ()):
        if name == FIELD:
            return json.loads(value)
    return []


# The connection to the suite.


class Link:
    """A connection to the suite, and the calls that it commands."""

    def __init__(self, reader, writer):
        self.writer = writer
        self.is_open = True
        self.running = {}
        self.senders = {}
        self.tell(told="hello", process=os.getpid(), protocol="asgi")
        self.reading = asyncio.create_task(self.read(reader))
        self.tasks = set()

    def tell(self, **told):
        if self.is_open:
            self.writer.write(json.dumps(told).encode() + b"\n")

    async def read(self, reader):
        try:
            while line := await reader.readline():
                self.dispatch(json.loads(line))
        except OSError:
            pass
        finally:
            # The suite is gone: nobody waits for a command that still comes.
            self.is_open = False
            for commands in self.running.values():
                commands.put_nowait(None)
            self.writer.close()

    def dispatch(self, command):
        call, number, step = command["call"], command["step"], command["do"]
        if call in self.running:
            self.running[call].put_nowait((number, step))
        elif call in self.senders and isinstance(step, dict) and "send" in step:
            self.spawn(self.send_late(call, number, to_asgi(step["send"])))

    async def send_late(self, call, number, event):
        outcome, _ = await outcome_of(self.senders[call], event)
        self.tell(told="sent", call=call, step=number, outcome=outcome)

    def spawn(self, work):
        # The loop itself holds tasks only weakly.
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class Process:
    """What all calls of this process share."""

    connecting = None
    calls = 0


async def connected():
    """The connection to the suite; a new one if there is none or the suite has closed it."""
    connecting = Process.connecting
    if connecting is None or not is_usable(connecting):
        connecting = Process.connecting = asyncio.ensure_future(connect())
    # One call that is cancelled must not take the others with it.
    return await asyncio.shield(connecting)


def is_usable(connecting):
    if not connecting.done():
        return True
    has_failed = connecting.cancelled() or connecting.exception() is not None
    return not has_failed and connecting.result().is_open


async def connect():
    address = os.environ.get(VARIABLE)
    if address is None:
        raise RuntimeError(f"{VARIABLE} is not set: the suite sets it to its address")
    host, _, port = address.rpartition(":")
    return Link(*await asyncio.open_connection(host.strip("[]"), int(port), limit=2**26))


# One call.


class Call:
    """One call of the probe: it does the steps and tells what came of them."""

    def __init__(self, link, scope, receive, send):
        self.link = link
        self.scope = scope
        self.receive = receive
        self.send = send
        self.number = Process.calls
        Process.calls += 1
        self.commands = asyncio.Queue()
        self.receives = asyncio.Queue()
        self.last_error = None
        self.has_ended = False
        # A server without lifespan state gives none to share.
        self.state = scope.get("state", {})

    async def run(self, steps):
        self.link.running[self.number] = self.commands
        scope = scope_to_callgate(self.scope)
        target = scope.get("raw_path")
        if isinstance(target, str) and scope["query_string"]:
            target = f"{target}?{scope['query_string']}"
        self.link.tell(told="called", call=self.number, scope=scope, target=target)
        receiving = self.link.spawn(self.receive_in_turn())
        try:
            for step in steps:
                under_way = self.begin(None, step)
                if under_way is not None:
                    await under_way
            while True:
                command = await self.commands.get()
                if command is None:
                    raise RuntimeError("the suite is gone")
                number, step = command
                if step == "fence":
                    await self.fence(number)
                else:
                    self.begin(number, step)
        except Returned:
            pass
        finally:
            receiving.cancel()
            if not self.has_ended:
                self.end("dropped")

    def begin(self, number, step):
        """Begins a step; what to await for its end, if it does not end at once."""
        name, value = (step, None) if isinstance(step, str) else next(iter(step.items()))
        if name in ("receive", "receive_body"):
            done = asyncio.get_running_loop().create_future()
            self.receives.put_nowait((number, name == "receive_body", done))
            return done
        if name == "send":
            return self.link.spawn(self.send_one(number, to_asgi(value)))
        if name == "send_at_once":
            for event in value:
                self.link.spawn(self.send_one(number, to_asgi(event)))
            return None
        if name == "send_last":
            last = {"type": "http.response.body", "body": b"x" * value}
            return self.link.spawn(self.send_one(number, last))
        if name == "fence":
            return self.link.spawn(self.fence(number))
        if name == "keep_sender":
            self.link.senders[self.number] = self.send
            return self.done(number)
        if name == "put_state":
            # A new list, as the one that is there may be another scope's too.
            self.state["callgate"] = [*self.state.get("callgate", ()), value]
            return self.done(number)
        if name == "tell_state":
            return self.done(number, self.state.get("callgate", ()))
        if name in ENDS:
            self.end("as_told")
            raise ENDS[name](self, value)
        print(f"the suite wants `{name}`, which this probe cannot do", file=sys.stderr)
        return None

    def done(self, number, texts=()):
        self.link.tell(told="done", call=self.number, step=number, texts=list(texts))

    def end(self, how):
        self.has_ended = True
        self.link.running.pop(self.number, None)
        self.link.tell(told="ended", call=self.number, how=how)

    async def fence(self, number):
        for _ in range(FENCE_ROUNDS):
            await asyncio.sleep(0)
        self.done(number)

    async def send_one(self, number, event):
        outcome, error = await outcome_of(self.send, event)
        if error is not None:
            self.last_error = error
        self.link.tell(told="sent", call=self.number, step=number, outcome=outcome)

    async def receive_in_turn(self):
        """Receives what is asked for, in the order in which it is asked for."""
        while True:
            number, is_to_the_end, done = await self.receives.get()
            while True:
                try:
                    event = await self.receive()
                except Exception as error:
                    # For the server's log: the suite waits for an event, and says that none came.
                    done.set_exception(error)
                    break
                told = event_to_callgate(event)
                self.link.tell(told="received", call=self.number, step=number, event=told)
                if not (is_to_the_end and event.get("more_body", False)):
                    done.set_result(None)
                    break


class Returned(Exception):
    """The call is to return."""


# How a call is ended: it returns, or it raises. For ASGI, no exception says more than another.
ENDS = {
    "return": lambda call, _: Returned(),
    "decline": lambda call, _: NotImplementedError(f"{call.scope['type']} is not served"),
    "fail": lambda call, message: RuntimeError(message),
    "fail_as_sent": lambda call, _: call.last_error or RuntimeError("no send has failed"),
    "fail_disconnected": lambda call, _: OSError("the client is gone"),
    "panic": lambda call, message: RuntimeError(message),
}


async def outcome_of(send, event):
    """What a send comes to, and its exception if it fails."""
    try:
        await send(event)
        return "delivered", None
    except OSError as error:
        # What ASGI demands once the client is gone.
        return "disconnected", error
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}, error


# From ASGI to Callgate's serialised form.


def octets_to_callgate(octets):
    octets = bytes(octets)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(octets).decode()}


def fields_to_callgate(fields):
    return [[octets_to_callgate(name), octets_to_callgate(value)] for name, value in fields]


def address_to_callgate(address):
    """Nothing for what is not an IP address and a port, such as the path of a socket."""
    if not address or address[1] is None:
        return None
    try:
        return [str(ipaddress.ip_address(address[0])), int(address[1])]
    except ValueError:
        return None


def scope_to_callgate(scope):
    kind = scope["type"]
    if kind not in ("http", "websocket"):
        return {"type": kind}
    extensions = scope.get("extensions") or {}
    raw_path = scope.get("raw_path")
    if raw_path is None:
        # ASGI leaves it out where it likes; then this is as near as one gets.
        raw_path = urllib.parse.quote(scope["path"]).encode()
    told = {
        "type": kind,
        # May be left out for a WebSocket.
        "http_version": scope.get("http_version", "1.1"),
        "scheme": scope.get("scheme", "http" if kind == "http" else "ws"),
        "path": scope["path"],
        "raw_path": octets_to_callgate(raw_path),
        # ASGI does not tell no query from an empty one.
        "query_string": octets_to_callgate(scope.get("query_string") or b"") or None,
        "root_path": scope.get("root_path", ""),
        "headers": fields_to_callgate(scope.get("headers", ())),
        "client": address_to_callgate(scope.get("client")),
        "server": address_to_callgate(scope.get("server")),
        "extensions": sorted(extensions),
    }
    if kind == "http":
        told["method"] = scope["method"]
    else:
        told["subprotocols"] = list(scope.get("subprotocols") or ())
    if extensions.get("tls"):
        told["tls"] = extensions["tls"]
    return told


def event_to_callgate(event):
    kind = event["type"]
    told = {"type": kind}
    if kind == "http.request":
        told["body"] = octets_to_callgate(event.get("body", b""))
        told["more_body"] = event.get("more_body", False)
    elif kind == "websocket.receive":
        if event.get("text") is not None:
            told["text"] = event["text"]
        if event.get("bytes") is not None:
            told["bytes"] = octets_to_callgate(event["bytes"])
    elif kind == "websocket.disconnect":
        code = event.get("code")
        told["code"] = 1005 if code is None else code
        told["reason"] = event.get("reason") or ""
    return told


# And from Callgate's serialised form to ASGI.


def octets_to_asgi(value):
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value.encode()


# How the values of an event are translated; all others are the same in both.
TO_ASGI = {
    "body": octets_to_asgi,
    "bytes": octets_to_asgi,
    "headers": lambda fields: [[octets_to_asgi(name), octets_to_asgi(value)] for name, value in fields],
    "links": lambda links: [octets_to_asgi(link) for link in links],
}


def to_asgi(event):
    return {key: TO_ASGI.get(key, lambda value: value)(value) for key, value in event.items()}


if __name__ == "__main__":
    sys.exit("a server serves this: see the first lines of the file")
