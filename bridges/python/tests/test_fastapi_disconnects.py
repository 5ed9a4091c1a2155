"""Clients that go away from a service in FastAPI, by each protocol and in each way: what its handlers see.

That nothing is logged as an error is checked after each test. Those of WebSockets are in `test_fastapi.py`.
"""

import contextlib
import os
import time

import h2.events
import pytest

from conftest import PATIENCE, SERVER
from wire import Connection, Http2, get

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module", params=["cleartext", "tls"])
def serve_with_flags(request, serve_for_module, certificate):
    """Starts a server in cleartext, or one over TLS."""
    key, certificate = certificate

    def serve(app):
        if request.param == "cleartext":
            return serve_for_module(app)
        server = serve_for_module(app, "--ssl-keyfile", key, "--ssl-certfile", certificate)
        server.certificate = certificate
        return server

    return serve


@pytest.fixture(scope="module")
def server(serve_with_flags):
    return serve_with_flags("fastapi_app:app")


@pytest.fixture(scope="module")
def behind_middleware(serve_with_flags):
    return serve_with_flags("fastapi_middleware:app")


class OverHttp1:
    """A client of HTTP/1 that sends one request, and goes."""

    def __init__(self, server, end):
        self.connection = Connection(server)
        self.end = end

    def begin(self, path, *fields, length=0):
        """Sends the head of a request, whose content is to have this length."""
        if length:
            fields = (("content-length", str(length)), *fields)
        lines = [f"{name}: {value}" for name, value in fields]
        self.connection.send(get(path, *lines, method="POST" if length else "GET"))

    def send(self, octets):
        """Sends a part of the content."""
        self.connection.send(octets)

    def read_head(self):
        """Reads the head of the response, and returns its status."""
        return self.connection.read_head().status

    def read_some(self):
        """Reads the beginning of the content."""
        self.connection.read_exactly(4)

    def read_response(self):
        """Reads the response, and returns its status."""
        return self.connection.read_response().status

    def go(self):
        if self.end == "reset":
            self.connection.reset()
        else:
            self.connection.socket.close()


class OverHttp2:
    """A client of HTTP/2 that sends one request, and goes."""

    def __init__(self, server, end):
        self.connection = Http2(server)
        self.end = end
        self.stream = None

    def begin(self, path, *fields, length=0):
        if length:
            fields = (("content-length", str(length)), *fields)
        method = "POST" if length else "GET"
        self.stream = self.connection.begin(path, *fields, method=method, end=not length)

    def send(self, octets):
        self.connection.send(self.stream, octets)

    def read_head(self):
        head = self.connection.wait_for(h2.events.ResponseReceived, self.stream)
        return int(dict(head.headers)[b":status"])

    def read_some(self):
        self.connection.wait_for(h2.events.DataReceived, self.stream)

    def read_response(self):
        return self.connection.read_response(self.stream).status

    def go(self):
        if self.end == "stream":
            self.connection.reset(self.stream)
            # The connection goes on.
            assert self.connection.ask("/docs").status == 200
        else:
            self.connection.socket.close()


WAYS = [(OverHttp1, "close"), (OverHttp1, "reset")]
if SERVER == "callgate":
    WAYS += [(OverHttp2, "stream"), (OverHttp2, "close")]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0].__name__}-{way[1]}")
def come(request):
    """Returns what connects a client to a server."""
    kind, end = request.param
    with contextlib.ExitStack() as stack:

        def connect(server):
            client = kind(server, end)
            stack.enter_context(client.connection)
            return client

        yield connect


@pytest.fixture
def client(come, server):
    return come(server)


def ask(server, path):
    """Sends a request of another client, which is answered."""
    with Connection(server) as connection:
        assert connection.ask(get(path)).status == 200


def end_of_generator(server, journal, key):
    """Returns what a generator tells at its end.

    One that did not run when the client went is in a cycle of anyio's until the collector comes.
    """
    for _ in range(PATIENCE):
        ask(server, "/collect")
        with contextlib.suppress(AssertionError):
            while isinstance(told := journal.next(key, timeout=1), int):
                pass
            return told
    raise AssertionError("the generator was not closed")


def test_is_disconnected_tells_of_the_disconnect(client, journal, key):
    client.begin(f"/waits-for-disconnect?{key}")
    assert journal.next(key) is False
    client.go()
    assert journal.next(key) == "disconnected"


def test_middleware_asks_is_disconnected_while_the_handler_is_at_work(
    behind_middleware, come, journal, key
):
    client = come(behind_middleware)
    client.begin(f"/ends-with-its-client?{key}")
    assert journal.next(key) == "called"
    client.go()
    assert journal.next(key) == "disconnected"


def test_a_stream_behind_middleware_ends(behind_middleware, come, journal, key):
    client = come(behind_middleware)
    client.begin(f"/endless?{key}")
    assert client.read_head() == 200
    client.read_some()
    client.go()
    assert end_of_generator(behind_middleware, journal, key) == "ended"


def test_before_the_content(server, client, journal, key):
    client.begin(f"/upload-that-stops?{key}", length=10)
    # Another answer shows that the request has been read before the end.
    ask(server, "/def")
    client.go()
    assert journal.next(key) == "ClientDisconnect"


def test_in_the_content(client, journal, key):
    client.begin(f"/upload-that-stops?{key}", length=10)
    client.send(b"half")
    assert journal.next(key) == b"half"
    client.go()
    assert journal.next(key) == "ClientDisconnect"


def test_before_the_response_the_handler_comes_to_its_end(server, client, journal, key):
    client.begin(f"/slow?{key}")
    assert journal.next(key) == "called"
    client.go()
    ask(server, "/go-on")
    assert journal.next(key) == "answers"
    ask(server, "/def")


def test_in_the_response_the_stream_ends(server, client, journal, key):
    client.begin(f"/endless?{key}")
    assert client.read_head() == 200
    client.read_some()
    client.go()
    assert end_of_generator(server, journal, key) in ("CancelledError", "GeneratorExit")


def test_while_a_stream_waits_for_the_client(server, client, journal, key):
    client.begin(f"/stream/1600?{key}")
    assert client.read_head() == 200
    client.go()
    assert end_of_generator(server, journal, key) == "closed"


def test_a_stream_that_has_nothing_to_send_ends(client, journal, key):
    """As a stream of events that are rare. Starlette listens for the disconnect below version 2.4 of HTTP in ASGI."""
    client.begin(f"/silent?{key}")
    assert client.read_head() == 200
    client.read_some()
    client.go()
    assert journal.next(key) in ("CancelledError", "GeneratorExit")


def test_a_dependency_ends_after_its_handler(client, journal, key):
    client.begin(f"/slow-with-a-dependency?{key}")
    assert journal.next(key) == "opened"
    client.go()
    assert [journal.next(key) for _ in range(2)] == ["handler", "closed"]


def test_background_work_comes_to_its_end_after_the_answer(client, journal, key):
    client.begin(f"/slow-background?{key}")
    assert client.read_response() == 200
    # Of a stream that is complete there is nothing to reset.
    client.connection.socket.close()
    assert journal.next(key) == "done"


def test_in_a_form_or_in_a_file_nothing_is_left_open(server, come, tmp_path):
    ask(server, "/def")

    def files():
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    part = (
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        + b"x" * 2_000_000
    )
    before = files()
    for _ in range(5):
        client = come(server)
        client.begin(
            "/upload", ("content-type", "multipart/form-data; boundary=b"), length=5_000_000
        )
        client.send(part)
        client.go()
        client = come(server)
        client.begin(f"/large-file?path={path}")
        assert client.read_head() == 200
        client.read_some()
        client.go()
    kept = 10 if client.end == "stream" else 0
    deadline = time.monotonic() + PATIENCE
    while files() > before + kept:
        assert time.monotonic() < deadline, (before, files())
        time.sleep(0.01)
