"""Calls an application of ASGI for the application suite: what a server is for it.

`callgate-conformance app --asgi main:app` runs this file in an interpreter of its own and takes the place of
the client. Standard input is a socket to the suite, on which both sides send JSON, one object a line:

    from the suite                              from this file
    call      a scope, for a new call           loaded, unloadable   whether there is an application
    deliver   an event for a `receive`          receive              the application receives
    settle    the outcome of a `send`           send                 an event that the application sends
    cancel    the end of a call                 fault                a rule that has no event to break it
                                                ended                how a call has ended
                                                idle                 the event loop has nothing to do

Scopes and events have Callgate's serialised form (`spec/docs/serialised.md`). The functions below
"To ASGI" and "From ASGI" are the whole translation, in both directions.

The application runs in one event loop, as under a server. `idle` says how many lines of the suite this
loop has handled by the time that nothing is left to run. So the suite sees an application at rest, and
does not have to guess how long it may take.

It needs Python 3.9 or later and nothing else.
"""

import asyncio
import base64
import importlib
import inspect
import json
import os
import select
import selectors
import socket
import sys
import threading
import time
import traceback
from collections import deque

# The event loop counts as idle after this many rounds in which the suite sent nothing: an application may
# wait in a loop of `asyncio.sleep(0)`.
MAX_ROUNDS = 200

# The most characters of an exception that are shown.
MAX_ERROR_LENGTH = 500

# The time in seconds in which the interpreter ends by itself once the suite is gone.
EXIT_TIMEOUT = 1.0


class ClientDisconnected(OSError):
    """What a `send` raises when the client is gone."""


class InvalidEvent(Exception):
    """An event that the server cannot take. The text says what is wrong with it."""

    rule = "CORE-06"


class NotOffered(InvalidEvent):
    """An event of an extension that the scope does not list."""

    rule = "EXT-01"


# The connection to the suite.


class Suite:
    """The connection to the suite, in the event loop that the application runs in."""

    def __init__(self, connection):
        self.connection = connection
        self.unread = b""
        self.handled = 0
        self.reported = 0
        self.rounds = 0
        self.app = None
        self.calls = {}
        self.state = {}
        self.slips = set()
        self.closed = asyncio.get_running_loop().create_future()

    def tell(self, message, **values):
        try:
            line = json.dumps({"message": message, **values}, ensure_ascii=False)
            # The text of an exception may have surrogates.
            self.connection.sendall(line.encode(errors="replace") + b"\n")
        except OSError:
            self.close()

    def close(self):
        if not self.closed.done():
            self.closed.set_result(None)

    def read(self):
        try:
            octets = self.connection.recv(2**20)
        except OSError:
            octets = b""
        if not octets:
            asyncio.get_running_loop().remove_reader(self.connection)
            self.close()
            return
        *lines, self.unread = (self.unread + octets).split(b"\n")
        for line in lines:
            self.handle(json.loads(line))

    def handle(self, command):
        self.handled += 1
        self.rounds = 0
        name, number = command["do"], command["call"]
        if name == "call":
            call = self.calls[number] = Call(self, number, command["scope"])
            call.task = asyncio.get_running_loop().create_task(call.run())
            # What `sys.exit` raises ends the event loop; it is not to be reported again.
            call.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif number not in self.calls:
            pass  # The call has ended meanwhile.
        elif name == "deliver":
            self.calls[number].deliver(command["event"])
        elif name == "settle":
            self.calls[number].settle(command["send"], command["failure"])
        elif name == "cancel":
            self.calls.pop(number).cancel()

    def on_round(self):
        self.rounds += 1
        if self.rounds > MAX_ROUNDS:
            self.on_idle()

    def on_idle(self):
        if self.reported != self.handled:
            self.reported = self.handled
            self.tell("idle", handled=self.handled)


class Selector(selectors.DefaultSelector):
    """The selector of the event loop, which knows when the loop has nothing left to run."""

    suite = None

    def select(self, timeout=None):
        ready = super().select(0)
        if self.suite is None or ready:
            return ready or super().select(timeout)
        if timeout is not None and timeout <= 0:
            self.suite.on_round()
            return ready
        self.suite.on_idle()
        return super().select(timeout)


# One call of the application.


class Call:
    """One call of the application, with its `receive` and its `send`."""

    def __init__(self, suite, number, scope):
        self.suite = suite
        self.number = number
        self.kind = scope["type"]
        self.scope = scope_to_asgi(scope, suite.state)
        self.task = None
        self.is_over = False
        self.waiting = deque()
        self.requested = 0
        self.events = deque()
        self.sends = {}
        self.send_count = 0

    def tell(self, message, **values):
        self.suite.tell(message, call=self.number, **values)

    async def run(self):
        how, error = "returned", ""
        try:
            await self.suite.app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            how, error = "raised", "CancelledError"
        except Exception as raised:
            raised = only_one(raised)
            how = "disconnected" if isinstance(raised, ClientDisconnected) else "raised"
            error = described(raised)
        except BaseException as raised:
            # `sys.exit` ends the event loop, and with it the process.
            how, error = "exited", described(raised)
            raise
        finally:
            self.over()
            self.suite.calls.pop(self.number, None)
            self.tell("ended", how=how, error=error)

    def over(self):
        self.is_over = True
        for future in self.sends.values():
            if not future.done():
                future.set_result({"disconnected": True})
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.cancel()

    def cancel(self):
        self.over()
        self.task.cancel()

    async def receive(self):
        if self.events:
            return self.events.popleft()
        if self.is_over:
            return {"type": f"{self.kind}.disconnect"}
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        if self.requested < len(self.waiting):
            self.requested += 1
            self.tell("receive")
        return await future

    def deliver(self, event):
        event = event_to_asgi(event)
        self.requested -= 1
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_result(event)
                return
        # The application has stopped to wait: its next `receive` has the event.
        self.events.append(event)

    async def send(self, event):
        if self.is_over:
            raise ClientDisconnected("the call has ended")
        try:
            serialised, slip = event_from_asgi(event)
        except InvalidEvent as invalid:
            self.tell("fault", rule=invalid.rule, detail=str(invalid))
            raise
        # Once, so that the rest of the application is checked all the same.
        if slip is not None and slip not in self.suite.slips:
            self.suite.slips.add(slip)
            self.tell("fault", rule=InvalidEvent.rule, detail=slip)
        number = self.send_count
        self.send_count += 1
        future = self.sends[number] = asyncio.get_running_loop().create_future()
        self.tell("send", send=number, event=serialised)
        try:
            failure = await future
        finally:
            self.sends.pop(number, None)
        if failure is not None:
            if failure.get("disconnected"):
                raise ClientDisconnected("the client is gone")
            raise RuntimeError(failure["reason"])

    def settle(self, number, failure):
        future = self.sends.get(number)
        if future is not None and not future.done():
            future.set_result(failure)


def only_one(error):
    """The exception in a group of one, which task groups raise."""
    while len(getattr(error, "exceptions", ())) == 1:
        error = error.exceptions[0]
    return error


def described(error):
    """The exception in one line: its type, its text, and where the application raised it."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
    if len(text) > MAX_ERROR_LENGTH:
        text = f"{text[:MAX_ERROR_LENGTH]}..."
    # The frames of this file and those of the import system say nothing about the application.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not is_of_host(frame.filename)]
    if not frames:
        return text
    last = frames[-1]
    return f"{text} ({os.path.basename(last.filename)}, line {last.lineno}, in {last.name})"


def is_of_host(filename):
    return filename.startswith("<") or filename == importlib.__file__


# To ASGI: from the serialised form.


def octets_to_asgi(value):
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    return value.encode()


def scope_to_asgi(scope, state):
    kind = scope["type"]
    if kind not in ("http", "websocket"):
        # An application puts into the state of its lifespan what each later scope has a copy of.
        asgi = {"version": "3.0", "spec_version": "2.0"}
        return {"type": kind, "asgi": asgi, "state": state}
    features = {name: {} for name in scope["extensions"] if name != "tls"}
    if scope.get("tls"):
        features["tls"] = scope["tls"]
    translated = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": scope["http_version"],
        "scheme": scope["scheme"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].encode(),
        # ASGI has the same value for no query and for an empty one.
        "query_string": (scope["query_string"] or "").encode(),
        "root_path": scope["root_path"],
        "headers": [(octets_to_asgi(name), octets_to_asgi(value)) for name, value in scope["headers"]],
        "client": scope["client"] and tuple(scope["client"]),
        "server": scope["server"] and tuple(scope["server"]),
        "state": dict(state),
        "extensions": features,
    }
    if kind == "http":
        translated["method"] = scope["method"].upper()
    else:
        translated["subprotocols"] = scope["subprotocols"]
    return translated


def event_to_asgi(event):
    # ASGI has no trailer fields of a request.
    return {
        key: octets_to_asgi(value) if key in ("body", "bytes") else value
        for key, value in event.items()
        if key != "trailers"
    }


# From ASGI: to the serialised form. What the serialised form cannot hold is an invalid event.


def octets_from_asgi(octets):
    octets = bytes(octets)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(octets).decode()}


def expected(name, kind, value):
    return InvalidEvent(f"{name} is not {kind} but {type(value).__name__}: {shown(value)}")


def shown(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def octets(name, value):
    # Servers take every kind of octets.
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise expected(name, "bytes", value)
    return octets_from_asgi(value)


def text(name, value):
    if not isinstance(value, str):
        raise expected(name, "str", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(f"{name} is no text: {shown(value)}") from None
    return value


def number(name, value):
    # An enumeration such as `http.HTTPStatus` is an int too; a bool is not meant.
    if not isinstance(value, int) or isinstance(value, bool):
        raise expected(name, "int", value)
    if not 0 <= value < 2**16:
        raise InvalidEvent(f"{name} is {value}")
    return int(value)


def flag(name, value):
    return bool(value)


def fields(name, value):
    try:
        pairs = [tuple(field) for field in value]
    except TypeError:
        raise expected(name, "an iterable of pairs", value) from None
    serialised = []
    for pair in pairs:
        if len(pair) != 2:
            raise InvalidEvent(f"{name} has a field that is no pair: {shown(pair)}")
        key, content = octets(f"the name of a field in {name}", pair[0]), octets(f"the value of a field in {name}", pair[1])
        if not isinstance(key, str):
            raise InvalidEvent(f"{name} has a field with the name {shown(pair[0])}")
        serialised.append([key, content])
    return serialised


def links(name, value):
    try:
        return [octets(f"a link in {name}", link) for link in value]
    except TypeError:
        raise expected(name, "an iterable of bytes", value) from None


RESPONSE_START = {"status": number, "headers": fields, "trailers": flag}
RESPONSE_BODY = {"body": octets, "more_body": flag}
MESSAGE = {"message": text}

# The events that an application sends: the keys of each, and how their values are translated.
EVENTS = {
    "http.response.start": RESPONSE_START,
    "http.response.body": RESPONSE_BODY,
    "http.response.trailers": {"headers": fields, "more_trailers": flag},
    "http.response.pathsend": {"path": text},
    "http.response.early_hint": {"links": links},
    "http.response.debug": {},
    "websocket.accept": {"subprotocol": text, "headers": fields},
    "websocket.send": {"text": text, "bytes": octets},
    "websocket.close": {"code": number, "reason": text},
    "websocket.http.response.start": RESPONSE_START,
    "websocket.http.response.body": RESPONSE_BODY,
    "lifespan.startup.complete": {},
    "lifespan.startup.failed": MESSAGE,
    "lifespan.shutdown.complete": {},
    "lifespan.shutdown.failed": MESSAGE,
}

# The events of extensions that Callgate does not have.
NEVER_OFFERED = ("http.response.push", "http.response.zerocopysend")

# The keys without a default.
REQUIRED = {
    "http.response.start": "status",
    "websocket.http.response.start": "status",
    "http.response.pathsend": "path",
}

# The keys for which ASGI has `None` mean the same as no key.
MAY_BE_NONE = ("subprotocol", "reason", "text", "bytes")


def event_from_asgi(event):
    """The event in the serialised form, and what is wrong with it although servers take it."""
    if not isinstance(event, dict):
        raise InvalidEvent(f"an event is not a dict but {type(event).__name__}: {shown(event)}")
    kind = event.get("type")
    if not isinstance(kind, str):
        raise InvalidEvent(f"an event has no type: {shown(event)}")
    if kind in NEVER_OFFERED:
        raise NotOffered(f"`{kind}` was used and is not offered")
    if kind not in EVENTS:
        raise InvalidEvent(f"`{kind}` is not an event of ASGI that an application sends")
    serialised = {"type": kind}
    for key, translate in EVENTS[kind].items():
        if key not in event or event[key] is None and key in MAY_BE_NONE:
            continue
        serialised[key] = translate(f"`{key}` of `{kind}`", event[key])
    required = REQUIRED.get(kind)
    if required is not None and required not in serialised:
        raise InvalidEvent(f"`{kind}` has no `{required}`")
    if kind == "websocket.send" and ("text" in serialised) == ("bytes" in serialised):
        raise InvalidEvent("`websocket.send` must have either `text` or `bytes`")
    return serialised, slip_in(kind, serialised)


def slip_in(kind, serialised):
    for name, _ in serialised.get("headers", ()):
        if name != name.lower():
            return f"the name of a field in `headers` of `{kind}` is not in lower case: {name}"
    return None


# The process.


class Unloadable(Exception):
    """There is no application, for this reason."""


def load(target, is_factory, directory):
    """The application that `module:attribute` names."""
    sys.path.insert(0, directory)
    module_name, _, path = target.partition(":")
    try:
        value = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise Unloadable(f"importing `{module_name}` raised {described(error)}") from error
        raise Unloadable(f"there is no module `{error.name}` in {directory} (--app-dir names another directory)") from error
    except BaseException as error:
        raise Unloadable(f"importing `{module_name}` raised {described(error)}") from error
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise Unloadable(f"`{module_name}` has no `{path}`") from None
    if is_factory:
        try:
            value = value()
        except BaseException as error:
            raise Unloadable(f"`{path}()` raised {described(error)}") from error
    if not callable(value):
        raise Unloadable(f"`{target}` is not callable but of the type `{type(value).__name__}`")
    try:
        inspect.signature(value).bind({}, None, None)
    except TypeError:
        remedy = "" if is_factory else " (--factory, if it is called for the application)"
        raise Unloadable(f"`{target}` does not take (scope, receive, send), as applications of ASGI 3 do{remedy}") from None
    except ValueError:
        pass  # A callable without a signature.
    return value


def exit_without(connection):
    """Ends the process soon after the suite is gone, whatever the event loop does."""
    poll = select.poll()
    poll.register(connection, 0)
    poll.poll()
    time.sleep(EXIT_TIMEOUT)
    os._exit(1)


async def main(connection, selector, target, is_factory, directory):
    suite = Suite(connection)
    try:
        suite.app = load(target, is_factory, directory)
    except Unloadable as reason:
        suite.tell("unloadable", reason=str(reason))
        return
    selector.suite = suite
    asyncio.get_running_loop().add_reader(connection, suite.read)
    suite.tell("loaded")
    await suite.closed
    selector.suite = None
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run():
    target, is_factory, directory = sys.argv[1], sys.argv[2] == "factory", sys.argv[3]
    sys.argv[:] = [target]
    # The application has no part in the connection: it reads nothing, and it may print.
    connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=exit_without, args=(connection,), daemon=True).start()
    selector = Selector()
    loop = asyncio.SelectorEventLoop(selector)
    asyncio.set_event_loop(loop)
    loop.run_until_complete(main(connection, selector, target, is_factory, directory))


if __name__ == "__main__":
    run()
