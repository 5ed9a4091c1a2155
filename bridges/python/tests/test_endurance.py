"""Clients with pauses at any place, and clients that go at any place: every request is answered, and nothing is left."""

import contextlib
import random
import re
import socket
import ssl
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from conftest import PATIENCE, SERVER, free_port
from wire import CLOSE, TEXT, Connection, Http2, WebSocket, frame, get, handshake, post

THREADS = 8

PROTOCOLS = ("http/1.1", "h2") if SERVER == "callgate" else ("http/1.1",)

CHUNKED = (
    get("/echo", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
)
STREAM = b"".join(b"%04d" % number * 1000 for number in range(20))

# Requests, and the content of the response to each.
REQUESTS = [
    (get("/echo"), b""),
    (post("/echo", b"x" * 10), b"x" * 10),
    (post("/echo", b"y" * 50_000), b"y" * 50_000),
    (CHUNKED, b"hello!"),
    (get("/stream"), STREAM),
    (get("/wait"), b""),
]

# Paths, contents of requests, and the content of the response to each.
REQUESTS_OF_HTTP2 = [
    ("/echo", b"", b""),
    ("/echo", b"x" * 10, b"x" * 10),
    ("/echo", b"y" * 10_000, b"y" * 10_000),
    ("/stream", b"", STREAM),
    ("/wait", b"", b""),
]


@pytest.fixture(scope="module", params=["cleartext", "tls"])
def flags(request, certificate):
    if request.param == "cleartext":
        return []
    key, certificate = certificate
    return ["--ssl-keyfile", key, "--ssl-certfile", certificate]


def certificate_of(flags):
    return flags[-1] if flags else None


@pytest.fixture(scope="module")
def patient(serve_for_module, flags):
    """A server whose timers never expire, so whatever needs one of them waits for ever."""
    app = "without_tick:app" if SERVER == "callgate" else "tolerant:app"
    server = serve_for_module(app, *flags)
    server.certificate = certificate_of(flags)
    return server


@pytest.fixture(scope="module")
def server(serve_for_module, flags):
    admin = f"127.0.0.1:{free_port()}"
    server = serve_for_module("tolerant:app", *flags, *["--admin", admin] * (SERVER == "callgate"))
    server.certificate = certificate_of(flags)
    server.admin = admin
    return server


def cut(dice, octets):
    """Returns octets in one to four parts, cut anywhere."""
    places = sorted(dice.randrange(len(octets) + 1) for _ in range(dice.randrange(4)))
    return [octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)]


def pause(dice):
    """Waits for nothing at all, or for up to five milliseconds."""
    if dice.random() < 0.7:
        time.sleep(dice.random() * 0.005)


def ask_with_pauses(server, seed):
    dice = random.Random(seed)
    with Connection(server) as connection:
        for _ in range(5):
            asked = [dice.choice(REQUESTS) for _ in range(dice.choice([1, 1, 1, 3]))]
            for part in cut(dice, b"".join(request for request, _ in asked)):
                connection.send(part)
                pause(dice)
            for _, content in asked:
                assert connection.read_response().body == content, seed
                pause(dice)


class HesitantHttp2(Http2):
    """A client whose octets come in parts, with pauses."""

    def __init__(self, server, dice):
        self.dice = dice
        super().__init__(server)

    def flush(self):
        for part in cut(self.dice, self.connection.data_to_send()):
            self.socket.sendall(part)
            pause(self.dice)


def ask_over_http2_with_pauses(server, seed):
    dice = random.Random(seed)
    with HesitantHttp2(server, dice) as connection:
        for _ in range(4):
            streams = {}
            for _ in range(dice.choice([1, 1, 3])):
                path, content, expected = dice.choice(REQUESTS_OF_HTTP2)
                stream = connection.begin(path, end=not content)
                streams[stream] = expected
                if content:
                    connection.send(stream, content, end=True)
            for stream, expected in streams.items():
                assert connection.read_response(stream).body == expected, seed
                pause(dice)


def speak_with_pauses(server, seed):
    dice = random.Random(seed)
    with WebSocket(server, "/") as websocket:
        for number in range(10):
            for part in cut(dice, frame(TEXT, b"%d" % number)):
                websocket.send(part)
                pause(dice)
            assert websocket.read_frame() == (TEXT, b"%d" % number), seed
        websocket.send_frame(CLOSE, b"\x03\xe8")
        assert websocket.read_close() == 1000


HESITATIONS = [ask_with_pauses, speak_with_pauses]
if "h2" in PROTOCOLS:
    HESITATIONS.append(ask_over_http2_with_pauses)


def octets_of_http2(dice):
    """Returns what a client of HTTP/2 sends for some requests, which it may give up."""
    client = h2.connection.H2Connection()
    client.initiate_connection()
    for _ in range(dice.randrange(1, 6)):
        path, content, _ = dice.choice(REQUESTS_OF_HTTP2)
        stream = client.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "test"), (":path", path)]
        client.send_headers(stream, fields, end_stream=not content)
        if content:
            client.send_data(stream, content, end_stream=dice.random() < 0.7)
        if dice.random() < 0.3:
            client.reset_stream(stream)
    if dice.random() < 0.2:
        client.close_connection()
    return client.data_to_send()


def go_anywhere(server, seed):
    """Sends a part of some requests or of a WebSocket, reads a part of what comes, and goes."""
    dice = random.Random(seed)
    protocol = dice.choice(PROTOCOLS)
    if protocol == "h2":
        octets = octets_of_http2(dice)
    else:
        octets = dice.choice([*REQUESTS, (handshake("/") + frame(TEXT, b"text") * 3, None)])[0]
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        if dice.random() < 0.1:
            # Over TLS, these are octets that begin no handshake.
            client = stack.enter_context(socket.create_connection(server.address))
        else:
            client = stack.enter_context(server.connect(protocol))
        *whole, last = cut(dice, octets)
        for part in whole or [last]:
            client.sendall(part)
            pause(dice)
        if dice.random() < 0.3:
            client.shutdown(socket.SHUT_WR)
        if dice.random() < 0.5:
            client.settimeout(0.01)
            client.recv(dice.choice([1, 100, 100_000]))
        if dice.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def in_threads(work, server, seeds):
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(lambda seed: work(server, seed), seeds):
            pass


class Count:
    """What the server has at the moment."""

    def __init__(self, server):
        url, verify = server.url, True
        if server.certificate is not None:
            url = url.replace("http", "https")
            verify = ssl.create_default_context(cafile=server.certificate)
        answer = httpx.get(url + "/count", verify=verify, trust_env=False, timeout=PATIENCE).text
        numbers = map(int, answer.split())
        self.tasks, self.files, self.coroutines, self.objects, self.octets = numbers

    def __repr__(self):
        return repr(vars(self))


def connections(server):
    """Returns the number of connections that the server knows."""
    metrics = httpx.get(f"http://{server.admin}/metrics", trust_env=False).text
    by_state = re.findall(r"^callgate_connections\{.*\} (\d+)$", metrics, re.MULTILINE)
    assert by_state, metrics
    return sum(map(int, by_state))


def wait_until(holds, observe):
    """Observes until this holds."""
    deadline = time.monotonic() + 2 * PATIENCE
    while not holds(observed := observe()):
        assert time.monotonic() < deadline, observed
    return observed


# No request waits for a timer: all are answered although none expires. One client at a time cannot be helped by the
# octets of another, which have the server look after all that it has forgotten.


@pytest.mark.every_loop
@pytest.mark.parametrize("work", HESITATIONS)
def test_every_request_of_one_slow_client_is_answered(patient, work):
    for seed in range(25):
        work(patient, seed)


@pytest.mark.every_loop
@pytest.mark.parametrize("work", HESITATIONS)
def test_every_request_of_many_slow_clients_is_answered(patient, work):
    in_threads(work, patient, range(100))


@pytest.mark.every_loop
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
def test_nothing_is_left_of_clients_that_go_anywhere(server):
    in_threads(go_anywhere, server, range(100))
    before = wait_until(lambda count: count.tasks <= 5, lambda: Count(server))
    in_threads(go_anywhere, server, range(100, 700))
    if SERVER == "callgate":
        # That of the request for them is one.
        wait_until(lambda number: number == 0, lambda: connections(server))

    def settled(count):
        return (
            count.tasks <= before.tasks
            and count.files <= before.files
            and count.coroutines <= before.coroutines
            and count.objects <= before.objects + 100
        )

    wait_until(settled, lambda: Count(server))


# Many requests of one kind, on a server of one protocol and one loop: the objects are the same on all.


def ask_often(octets, content):
    """Asks over one connection, up to a hundred requests at a time."""

    def work(server, times):
        with Connection(server) as connection:
            for done in range(0, times, 100):
                count = min(100, times - done)
                connection.send(octets * count)
                for _ in range(count):
                    assert connection.read_response().body == content

    return work


def connect_often(server, times):
    for _ in range(times):
        with Connection(server) as connection:
            connection.ask(get("/hello"))


def fail_often(server, times):
    for _ in range(times):
        with Connection(server) as connection:
            assert connection.ask(get("/raises")).status == 500


def ask_often_over_http2(server, times):
    with Http2(server) as connection:
        for done in range(0, times, 50):
            streams = [connection.begin("/hello") for _ in range(min(50, times - done))]
            for stream in streams:
                assert connection.read_response(stream).status == 200


def speak_often(server, times):
    with WebSocket(server, "/") as websocket:
        for done in range(0, times, 100):
            count = min(100, times - done)
            websocket.send(frame(TEXT, b"message") * count)
            for _ in range(count):
                assert websocket.read_frame() == (TEXT, b"message")


def shake_hands_often(server, times):
    for _ in range(times):
        with WebSocket(server, "/") as websocket:
            websocket.send_frame(CLOSE, b"\x03\xe8")
            assert websocket.read_close() == 1000


def go_often(server, times):
    in_threads(go_anywhere, server, range(times))


REPETITIONS = [
    pytest.param(ask_often(get("/hello"), b"hello"), 5000, id="requests"),
    pytest.param(ask_often(post("/echo_at_once", b"x" * 100), b"x" * 100), 5000, id="contents"),
    pytest.param(ask_often(get("/stream"), STREAM), 200, id="streams"),
    pytest.param(connect_often, 2000, id="connections"),
    pytest.param(fail_often, 500, id="exceptions"),
    pytest.param(speak_often, 20_000, id="messages"),
    pytest.param(shake_hands_often, 1000, id="websockets"),
    pytest.param(go_often, 1000, id="disconnects"),
]
if "h2" in PROTOCOLS:
    REPETITIONS.append(pytest.param(ask_often_over_http2, 4000, id="http2"))


@pytest.fixture(scope="module")
def in_cleartext(serve_for_module):
    return serve_for_module("tolerant:app")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(("work", "times"), REPETITIONS)
def test_nothing_grows_with_the_number_of_requests(in_cleartext, work, times):
    server = in_cleartext
    server.expect_error("it is nowhere")
    work(server, times // 2)
    growth = []
    # What grows with the requests grows in each round, and what a round happens to need does not.
    for _ in range(3):
        before = wait_until(lambda count: count.tasks <= 5, lambda: Count(server))
        work(server, times)
        after = wait_until(lambda count: count.tasks <= 5, lambda: Count(server))
        growth.append((after.objects - before.objects, after.octets - before.octets))
        if after.objects <= before.objects + 50 and after.octets <= before.octets + 2**20:
            return
    raise AssertionError(growth)
