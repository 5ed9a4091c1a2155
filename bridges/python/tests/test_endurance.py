"""Clients with pauses at any place, and clients that go at any place: every request is answered, and nothing is left."""

import contextlib
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from conftest import PATIENCE
from wire import CLOSE, TEXT, Connection, WebSocket, frame, get, handshake, post

pytestmark = pytest.mark.every_loop

THREADS = 8

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


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("tolerant:app")


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
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(5):
            asked = [dice.choice(REQUESTS) for _ in range(dice.choice([1, 1, 1, 3]))]
            for part in cut(dice, b"".join(request for request, _ in asked)):
                connection.send(part)
                pause(dice)
            for _, content in asked:
                assert connection.read_response().body == content, seed
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


def go_anywhere(server, seed):
    """Sends a part of a request or of a WebSocket, reads a part of what comes, and goes."""
    dice = random.Random(seed)
    octets = dice.choice([*REQUESTS, (handshake("/") + frame(TEXT, b"text") * 3, None)])[0]
    with Connection(server) as connection, contextlib.suppress(OSError):
        *whole, last = cut(dice, octets)
        for part in whole or [last]:
            connection.send(part)
            pause(dice)
        if dice.random() < 0.3:
            connection.socket.shutdown(socket.SHUT_WR)
        if dice.random() < 0.5:
            connection.socket.settimeout(0.01)
            connection.socket.recv(dice.choice([1, 100, 100_000]))
        if dice.random() < 0.5:
            connection.reset()


def in_threads(work, server, seeds):
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(lambda seed: work(server, seed), seeds):
            pass


def count(server):
    """Returns the numbers of tasks, of open files and of coroutines of the server."""
    answer = httpx.get(server.url + "/count", trust_env=False).text
    return [int(number) for number in answer.split()]


def settled(server, limits):
    """Returns what `count` does as soon as no number is above its limit."""
    deadline = time.monotonic() + PATIENCE
    while True:
        numbers = count(server)
        if all(number <= limit for number, limit in zip(numbers, limits, strict=True)):
            return numbers
        assert time.monotonic() < deadline, (numbers, limits)


def test_every_request_of_slow_clients_is_answered(server):
    in_threads(ask_with_pauses, server, range(150))


def test_every_message_of_slow_clients_is_answered(server):
    in_threads(speak_with_pauses, server, range(80))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
def test_nothing_is_left_of_clients_that_go_anywhere(server):
    before = settled(server, [5, 10**6, 10**6])
    in_threads(go_anywhere, server, range(600))
    settled(server, [number + 2 for number in before])
