"""Loads the wheel `callgate` with many requests and disconnects, and fails when the process holds more and more.

It needs the wheel and FastAPI in its environment: `cargo xtask soak --python`.
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

# The requests of a round on one connection, which are sent at once, and those among them to FastAPI.
PIPELINE, TO_FASTAPI = 100, 10

# The connections that stay, and the clients of a round that disconnect.
CONNECTIONS, DISCONNECTS = 4, 4

# What the process may hold more at the end than at the first sample, in octets and in objects. The collector may find the
# process with some calls more or less.
MORE_MEMORY, MORE_OBJECTS = 8 * 2**20, 200

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


class Load:
    """Clients that send requests, and those that disconnect."""

    def __init__(self, server, seed):
        self.server = server
        self.dice = random.Random(seed)
        self.connections = [server.connect() for _ in range(CONNECTIONS)]
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
    while held["tasks"] > 3 and time.monotonic() < deadline:
        time.sleep(0.1)
        held = server.held()
    return held


def run(server, requests, seconds, seed):
    """Sends the requests, and returns a line for each sample: the requests so far, the time, and what is held."""
    load, begun, samples = Load(server, seed), time.monotonic(), []
    while load.sent < requests:
        load.round()
        passed = time.monotonic() - begun
        if passed > seconds:
            print(f"The time is over after {load.sent} of {requests} requests.")
            break
        if load.sent >= (len(samples) + 1) * requests / SAMPLES:
            samples.append((load.sent, passed, settled(server)))
            show(*samples[-1])
    samples.append((load.sent, time.monotonic() - begun, settled(server)))
    show(*samples[-1])
    print(f"{load.disconnects} clients among them have disconnected; the seed is {seed}.")
    return samples


def show(requests, passed, held):
    print(
        f"| {requests:>10,} | {passed:>7.0f} s | {held['rss'] / 2**20:>7.1f} MiB | {held['objects']:>8,} "
        f"| {held['tasks']:>5} | {held['descriptors']:>11} |",
        flush=True,
    )


def growth(samples):
    """Returns what has grown beyond its bound between the first sample and the last."""
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
