"""The probe for servers of ASGI: what `callgate_conformance::Probe` is for servers of Callgate.

The probe is an application that takes the steps which the server suite commands, and sends the suite a
message about each. Commands and messages are JSON, one object a line, over a connection from the probe
to the address in the environment variable CALLGATE_PROBE. A request can carry the first steps in its
`probe` header field. `src/probe/protocol.rs` defines commands and messages. They contain scopes and
events in Callgate's serialised form (`spec/docs/serialised.md`), which this file translates from and to
ASGI's.

The probe needs Python 3.9 or later and nothing else:

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

# The rounds of the event loop before a fence is answered, so that tasks that are ready run first.
FENCE_ROUNDS = 20


async def app(scope, receive, send):
    connection = await connected()
    call = Call(connection, scope, receive, send)
    await call.run(first_steps(scope))


def first_steps(scope):
    """The steps that a request brings along."""
    for name, value in scope.get("headers", ()):
        if name == FIELD:
            return json.loads(value)
    return []


# The connection to the suite.


class SuiteConnection:
    """A connection to the suite, and the calls that the suite commands."""

    def __init__(self, reader, writer):
        self.writer = writer
        self.is_open = True
        self.running = {}
        self.senders = {}
        self.send_message(message="hello", process=os.getpid(), protocol="asgi")
        self.reading = asyncio.create_task(self.read(reader))
        self.tasks = set()

    def send_message(self, **message):
        if self.is_open:
            self.writer.write(json.dumps(message).encode() + b"\n")

    async def read(self, reader):
        try:
            while line := await reader.readline():
                self.dispatch(json.loads(line))
        except OSError:
            pass
        finally:
            # The suite is gone: the calls end, as no command comes any more.
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
        self.send_message(message="sent", call=call, step=number, outcome=outcome)

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
    return SuiteConnection(*await asyncio.open_connection(host.strip("[]"), int(port), limit=2**26))


# One call.


class Call:
    """One call of the probe, which takes the steps and sends the messages about them."""

    def __init__(self, connection, scope, receive, send):
        self.connection = connection
        self.scope = scope
        self.receive = receive
        self.send = send
        self.number = Process.calls
        Process.calls += 1
        self.commands = asyncio.Queue()
        self.receives = asyncio.Queue()
        self.sending = asyncio.Lock()
        self.last_error = None
        self.has_ended = False
        # A server without lifespan state gives none to share.
        self.state = scope.get("state", {})

    async def run(self, steps):
        self.connection.running[self.number] = self.commands
        scope = scope_to_callgate(self.scope)
        target = scope.get("raw_path")
        if isinstance(target, str) and scope["query_string"]:
            target = f"{target}?{scope['query_string']}"
        spec_version = self.scope.get("asgi", {}).get("spec_version", "2.0")
        self.connection.send_message(
            message="called", call=self.number, scope=scope, target=target, spec_version=spec_version
        )
        receiving = self.connection.spawn(self.receive_in_turn())
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
        """Begins a step. Returns what to await for its end, if it does not end at once."""
        name, value = (step, None) if isinstance(step, str) else next(iter(step.items()))
        if name in ("receive", "receive_body"):
            done = asyncio.get_running_loop().create_future()
            self.receives.put_nowait((number, name == "receive_body", done))
            return done
        if name == "send":
            return self.connection.spawn(self.send_in_turn(number, to_asgi(value)))
        if name == "send_at_once":
            for event in value:
                self.connection.spawn(self.send_one(number, to_asgi(event)))
            return None
        if name == "send_last":
            last = {"type": "http.response.body", "body": b"x" * value}
            return self.connection.spawn(self.send_in_turn(number, last))
        if name == "fence":
            return self.connection.spawn(self.fence(number))
        if name == "keep_sender":
            self.connection.senders[self.number] = self.send
            return self.done(number)
        if name == "put_state":
            # A new list, as the one that is there may be another scope's too.
            self.state["callgate"] = [*self.state.get("callgate", ()), value]
            return self.done(number)
        if name == "tell_state":
            return self.done(number, self.state.get("callgate", ()))
        if name in ENDS:
            self.end("as_commanded")
            raise ENDS[name](self, value)
        print(f"the suite wants `{name}`, which this probe cannot do", file=sys.stderr)
        return None

    def done(self, number, texts=()):
        self.connection.send_message(message="done", call=self.number, step=number, texts=list(texts))

    def end(self, how):
        self.has_ended = True
        self.connection.running.pop(self.number, None)
        self.connection.send_message(message="ended", call=self.number, how=how)

    async def fence(self, number):
        for _ in range(FENCE_ROUNDS):
            await asyncio.sleep(0)
        self.done(number)

    async def send_in_turn(self, number, event):
        """Sends as an application does that awaits each send before the next."""
        async with self.sending:
            await self.send_one(number, event)

    async def send_one(self, number, event):
        outcome, error = await outcome_of(self.send, event)
        if error is not None:
            self.last_error = error
        self.connection.send_message(message="sent", call=self.number, step=number, outcome=outcome)

    async def receive_in_turn(self):
        """Receives as commanded, in the order of the commands."""
        while True:
            number, is_to_the_end, done = await self.receives.get()
            while True:
                try:
                    event = await self.receive()
                except Exception as error:
                    # The server logs the error. The suite waits for an event, and reports that none came.
                    done.set_exception(error)
                    break
                serialised = event_to_callgate(event)
                self.connection.send_message(message="received", call=self.number, step=number, event=serialised)
                if not (is_to_the_end and event.get("more_body", False)):
                    done.set_result(None)
                    break


class Returned(Exception):
    """The call is to return."""


# How a step ends the call: it returns or it raises. ASGI does not tell exceptions apart.
ENDS = {
    "return": lambda call, _: Returned(),
    "decline": lambda call, _: NotImplementedError(f"{call.scope['type']} is not served"),
    "fail": lambda call, message: RuntimeError(message),
    "fail_as_sent": lambda call, _: call.last_error or RuntimeError("no send has failed"),
    "fail_disconnected": lambda call, _: OSError("the client is gone"),
    "panic": lambda call, message: RuntimeError(message),
}


async def outcome_of(send, event):
    """The outcome of a send, and its exception if it fails."""
    try:
        await send(event)
        return "delivered", None
    except OSError as error:
        # The exception that ASGI recommends for a disconnected client.
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
    """The address; none for what is not an IP address and a port, such as the path of a socket."""
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
        # Optional in ASGI. The quoted path is the nearest to it.
        raw_path = urllib.parse.quote(scope["path"]).encode()
    serialised = {
        "type": kind,
        # May be left out for a WebSocket.
        "http_version": scope.get("http_version", "1.1"),
        "scheme": scope.get("scheme", "http" if kind == "http" else "ws"),
        "path": scope["path"],
        "raw_path": octets_to_callgate(raw_path),
        # ASGI has the same value for no query and for an empty one.
        "query_string": octets_to_callgate(scope.get("query_string") or b"") or None,
        "root_path": scope.get("root_path", ""),
        "headers": fields_to_callgate(scope.get("headers", ())),
        "client": address_to_callgate(scope.get("client")),
        "server": address_to_callgate(scope.get("server")),
        "extensions": sorted(extensions),
    }
    if kind == "http":
        serialised["method"] = scope["method"]
    else:
        serialised["subprotocols"] = list(scope.get("subprotocols") or ())
    if extensions.get("tls"):
        serialised["tls"] = extensions["tls"]
    return serialised


def event_to_callgate(event):
    kind = event["type"]
    serialised = {"type": kind}
    if kind == "http.request":
        serialised["body"] = octets_to_callgate(event.get("body", b""))
        serialised["more_body"] = event.get("more_body", False)
    elif kind == "websocket.receive":
        if event.get("text") is not None:
            serialised["text"] = event["text"]
        if event.get("bytes") is not None:
            serialised["bytes"] = octets_to_callgate(event["bytes"])
    elif kind == "websocket.disconnect":
        serialised["code"] = event.get("code", 1005)
        serialised["reason"] = event.get("reason") or ""
    return serialised


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
