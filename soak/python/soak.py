"""Loads the wheel `callgate` with many requests and disconnects, and fails when the process holds more and more.

It needs the wheel, FastAPI, h2 and websockets in its environment: `cargo xtask soak --python`.
"""

import argparse
import json
import random
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from websockets.sync.client import connect

# The requests of a round on one connection, which are sent at once, and those among them to FastAPI.
PIPELINE, TO_FASTAPI = 100, 10

# The connections that stay, and the clients of a round that disconnect.
CONNECTIONS, DISCONNECTS = 4, 4

# The requests of a round over HTTP/2, and the messages of a WebSocket. One connection of each kind stays, and one is new.
STREAMS, MESSAGES = 10, 10

# What the process may hold more at the end than at the first sample, in octets and in objects. The collector may find the
# process with some calls more or less.
MORE_MEMORY, MORE_OBJECTS = 8 * 2**20, 200

# The tasks of a process at rest: the server, the lifespan, the WebSocket that stays, and the request for what the process holds.
TASKS = 4

# The number of samples, of which the first is taken after the first part of the requests.
SAMPLES = 20

# The longest time in seconds that anything is waited for.
PATIENCE = 60


def request(target, *fields, body=b""):
    lines = [f"{'POST' if body else 'GET'} {target} HTTP/1.1", "Host: localhost", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


HELLO, FASTAPI = request("/"), request("/fastapi?name=soak")

# What clients send that disconnect, and whether they read before.
LEAVES = [
    (request("/wait"), False),
    (request("/stream"), True),
    (request("/fastapi"), False),
    (request("/fastapi/upload", "Content-Length: 100000", body=bytes(1000)), False),
    (b"GET / HTTP/1.1\r\nHo", False),
]


class Server:
    """The server, as a process of its own."""

    def __init__(self, loop):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = free.getsockname()
        here = str(Path(__file__).parent)
        command = [sys.executable, "-m", "callgate", "app:app", "--app-dir", here, "--loop", loop]
        # Exceptions of applications whose client has gone are expected.
        flags = ["--port", str(self.address[1]), "--log-level", "off"]
        self.process = subprocess.Popen([*command, *flags])
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.connect().close()
                return
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("error: the server does not start") from None
                time.sleep(0.05)

    def connect(self):
        connection = socket.create_connection(self.address, timeout=PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def held(self):
        """Returns what the process holds."""
        with self.connect() as connection:
            connection.sendall(request("/held", "Connection: close"))
            octets = b""
            while more := connection.recv(2**16):
                octets += more
        return json.loads(octets.partition(b"\r\n\r\n")[2])


class Http2:
    """A connection over HTTP/2."""

    def __init__(self, server):
        self.host = "%s:%s" % server.address
        self.socket = server.connect()
        self.protocol = H2Connection()
        self.protocol.initiate_connection()

    def begin(self, target):
        """Begins a request, and returns its stream."""
        stream = self.protocol.get_next_available_stream_id()
        fields = {":method": "GET", ":scheme": "http", ":authority": self.host, ":path": target}
        self.protocol.send_headers(stream, fields.items(), end_stream=True)
        return stream

    def send(self):
        self.socket.sendall(self.protocol.data_to_send())

    def ask(self):
        """Sends the requests of a round, and reads their responses."""
        contents = {self.begin("/"): b"" for _ in range(STREAMS)}
        open_streams = set(contents)
        self.send()
        while open_streams:
            octets = self.socket.recv(2**16)
            if not octets:
                raise SystemExit("error: the server has closed a connection of HTTP/2")
            for event in self.protocol.receive_data(octets):
                if isinstance(event, DataReceived):
                    contents[event.stream_id] += event.data
                    length = event.flow_controlled_length
                    self.protocol.acknowledge_received_data(length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    open_streams.discard(event.stream_id)
            self.send()
        if set(contents.values()) != {b"hello"}:
            raise SystemExit(f"error: the responses over HTTP/2 are {contents}")

    def reset(self):
        """Begins a request that waits for its client, and resets it."""
        stream = self.begin("/wait")
        self.send()
        self.protocol.reset_stream(stream)
        self.send()

    def close(self):
        self.socket.close()


def websocket(server):
    """Opens a WebSocket, whose messages come back."""
    url = "ws://%s:%s/" % server.address
    return connect(url, proxy=None, open_timeout=PATIENCE, close_timeout=PATIENCE)


def speak(connection):
    """Sends the messages of a round, and reads them."""
    for _ in range(MESSAGES):
        connection.send("message")
    for _ in range(MESSAGES):
        if connection.recv(timeout=PATIENCE) != "message":
            raise SystemExit("error: a message has come back changed")


class Load:
    """Clients that send requests and messages, and those that disconnect."""

    def __init__(self, server, websocket, seed):
        self.server = server
        self.websocket = websocket
        self.seed, self.dice = seed, random.Random(seed)
        self.connections = [server.connect() for _ in range(CONNECTIONS)]
        self.http2 = Http2(server)
        self.sent = 0
        self.disconnects = 0

    def round(self):
        batch = [HELLO] * (PIPELINE - TO_FASTAPI) + [FASTAPI] * TO_FASTAPI
        for connection in self.connections:
            self.dice.shuffle(batch)
            connection.sendall(b"".join(batch))
        for _ in range(DISCONNECTS):
            self.leave()
        for connection in self.connections:
            self.read(connection)
        self.sent += PIPELINE * len(self.connections)
        self.over_http2()
        self.over_websockets()

    def over_http2(self):
        self.http2.reset()
        self.http2.ask()
        new = Http2(self.server)
        new.ask()
        new.close()
        self.sent += 2 * STREAMS + 1

    def over_websockets(self):
        """Speaks over a WebSocket that stays, and over one that ends in one way or the other. The messages count as requests."""
        speak(self.websocket)
        with websocket(self.server) as new:
            speak(new)
            if self.dice.randrange(2):
                # Without the closing handshake.
                new.socket.shutdown(socket.SHUT_RDWR)
        self.sent += 2 * MESSAGES + 1

    def read(self, connection):
        """Reads the responses of a round, which end with what the last octets of their bodies are."""
        octets = b""
        while octets.count(b"\r\n\r\n") < PIPELINE or not octets.endswith((b"hello", b"}")):
            more = connection.recv(2**18)
            if not more:
                raise SystemExit("error: the server has closed a connection")
            octets += more
        if octets.count(b"HTTP/1.1 200 ") != PIPELINE:
            raise SystemExit(
                f"error: not every request has been answered with 200:\n{octets[:2000]}"
            )

    def leave(self):
        """Sends a request, or a part of one, and disconnects."""
        octets, reads = self.dice.choice(LEAVES)
        connection = self.server.connect()
        connection.sendall(octets)
        if reads:
            connection.recv(2**14)
        if self.dice.randrange(2):
            # A reset, as of a client that crashes.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        self.sent += 1
        self.disconnects += 1


def settled(server):
    """Returns what the process holds, once the calls whose client has gone have ended."""
    deadline = time.monotonic() + PATIENCE
    held = server.held()
    while held["tasks"] > TASKS and time.monotonic() < deadline:
        time.sleep(0.1)
        held = server.held()
    return held


def run(server, requests, seconds, seed):
    """Loads the server, as `send` does, with a WebSocket that stays."""
    with websocket(server) as stays:
        return send(Load(server, stays, seed), requests, seconds)


def send(load, requests, seconds):
    """Sends the requests, and returns a line for each sample: the requests so far, the time, and what is held."""
    begun, samples = time.monotonic(), []
    while load.sent < requests:
        load.round()
        passed = time.monotonic() - begun
        if passed > seconds:
            print(f"The time is over after {load.sent} of {requests} requests.")
            break
        if load.sent >= (len(samples) + 1) * requests / SAMPLES:
            samples.append((load.sent, passed, settled(load.server)))
            show(*samples[-1])
    samples.append((load.sent, time.monotonic() - begun, settled(load.server)))
    show(*samples[-1])
    print(f"{load.disconnects} connections among them were cut at once; the seed is {load.seed}.")
    return samples


def show(requests, passed, held):
    print(
        f"| {requests:>10,} | {passed:>7.0f} s | {held['rss'] / 2**20:>7.1f} MiB | {held['objects']:>8,} "
        f"| {held['tasks']:>5} | {held['descriptors']:>11} |",
        flush=True,
    )


def growth(samples):
    """Returns what has grown beyond its bound between the first sample and the last."""
    if len(samples) < 2:
        return ["the time was over before the second sample, so nothing was compared"]
    first, last = samples[0][2], samples[-1][2]
    bounds = {"rss": MORE_MEMORY, "objects": MORE_OBJECTS, "tasks": 0, "descriptors": 2}
    return [
        f"{name} has grown from {first[name]} to {last[name]}: more than {bound}"
        for name, bound in bounds.items()
        if last[name] - first[name] > bound
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000, help="how many to send")
    parser.add_argument("--seconds", type=float, default=7200, help="the longest time")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    server = Server(arguments.loop)
    print("|   requests |      time |         RSS |  objects | tasks | descriptors |")
    print("| ---------: | --------: | ----------: | -------: | ----: | ----------: |")
    try:
        samples = run(server, arguments.requests, arguments.seconds, arguments.seed)
    finally:
        server.process.terminate()
        status = server.process.wait(PATIENCE)
    failures = growth(samples)
    if status != 0:
        failures.append(f"the server has ended with the status {status}")
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
