"""The load under which the native part is profiled, before it is built for a release: `maturin build --release --pgo`.

The compiler arranges the code by how often each part of it ran here, so everything that is to be fast has to be in it.
"""

import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path

# How often each thing is asked for, by each connection.
TIMES = 200
CONNECTIONS = 16
PATIENCE = 60


class Connection:
    """A connection to the server."""

    def __init__(self, port, protocol=None):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if protocol is not None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_alpn_protocols([protocol])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = bytearray()

    def send(self, octets):
        self.socket.sendall(octets)

    def fill(self):
        octets = self.socket.recv(1 << 18)
        if not octets:
            raise SystemExit(f"the server has closed a connection after {bytes(self.buffer)!r}")
        self.buffer += octets

    def read(self, count):
        while len(self.buffer) < count:
            self.fill()
        octets = bytes(self.buffer[:count])
        del self.buffer[:count]
        return octets

    def read_until(self, end):
        while (at := self.buffer.find(end)) < 0:
            self.fill()
        return self.read(at + len(end))


def request(path, body=b"", is_chunked=False):
    """Returns a request as browsers and clients send them."""
    head = (
        f"{'POST' if body else 'GET'} {path}?page=2&q=caf%C3%A9 HTTP/1.1\r\nHost: localhost:8000\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0\r\n"
        "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en,de;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef; theme=dark\r\n"
    )
    if is_chunked:
        head += "Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    elif body:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def read_response(connection):
    head = connection.read_until(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"the server has answered {head!r}")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length:
        return connection.read(int(length[1]))
    while size := int(connection.read_until(b"\r\n"), 16):
        connection.read(size + 2)
    connection.read(2)


def ask(connections, octets, times=TIMES):
    """Sends requests on all connections at a time, as many clients do."""
    for _ in range(times):
        for connection in connections:
            connection.send(octets)
        for connection in connections:
            read_response(connection)


def http1(connections):
    plain = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for octets in (plain, request("/fields"), request("/yields"), request("/threads")):
        ask(connections, octets)
    ask(connections, request("/echo", b"x" * 1000))
    for octets in (
        request("/waits"),
        request("/echo", b"x" * 100_000),
        request("/echo", b"x" * 1000, is_chunked=True),
        request("/stream"),
        request("/file"),
    ):
        ask(connections, octets, TIMES // 10)


def websocket(port):
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.send(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        connection.read_until(b"\r\n\r\n")
    # Masked with zeros, so as they are.
    for opcode, message in ((1, b"a short text"), (2, b"octets" * 10), (1, b"a longer text " * 100)):
        length = len(message)
        short = struct.pack("!BB", 0x80 | opcode, 0x80 | length) if length < 126 else b""
        head = short or struct.pack("!BBH", 0x80 | opcode, 0xFE, length)
        for _ in range(TIMES):
            for connection in connections:
                connection.send(head + bytes(4) + message)
            for connection in connections:
                connection.read(length + (2 if length < 126 else 4))
    for connection in connections:
        connection.send(struct.pack("!BB4xH", 0x88, 0x82, 1000))
        connection.read(4)


DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(octets):
    return struct.pack("!B", len(octets)) + octets


# Of the static table of names and values (RFC 7541, appendix A).
GET, POST, HTTPS = b"\x82", b"\x83", b"\x87"
PATH, AUTHORITY, USER_AGENT = b"\x04", b"\x01", b"\x0f\x2b"


def header_block(method, path):
    fields = ((PATH, path), (AUTHORITY, b"localhost"), (USER_AGENT, b"Mozilla/5.0 (X11; Linux x86_64)"))
    return method + HTTPS + b"".join(name + literal(value) for name, value in fields)


def http2(connection):
    """Sends requests in streams, some at a time (RFC 9113)."""
    large = struct.pack("!HI", 4, (1 << 31) - 1)
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, large))
    # The window of the connection as well.
    connection.send(frame(8, 0, 0, struct.pack("!I", 1 << 30)))
    get, post = header_block(GET, b"/fields?page=2"), header_block(POST, b"/echo")
    stream = 1
    for _ in range(TIMES * 2):
        open_streams = set()
        for number in range(CONNECTIONS):
            if number % 4:
                connection.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, get))
            else:
                connection.send(frame(HEADERS, END_HEADERS, stream, post))
                connection.send(frame(DATA, END_STREAM, stream, b"x" * 500))
            open_streams.add(stream)
            stream += 2
        while open_streams:
            head = connection.read(9)
            connection.read(int.from_bytes(head[:3], "big"))
            kind, flags, of_stream = struct.unpack("!BBI", head[3:])
            if kind == SETTINGS and not flags & ACK:
                connection.send(frame(SETTINGS, ACK, 0))
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                open_streams.remove(of_stream)
            elif kind in (3, 7):
                raise SystemExit(f"the server has ended a stream or the connection: {head!r}")


class Server:
    """A server in a process of its own."""

    def __init__(self, app, *flags):
        command = [sys.executable, "-m", "callgate", app, "--port", "0", *flags]
        self.process = subprocess.Popen(
            command, cwd=Path(__file__).parent, stderr=subprocess.PIPE, text=True
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"https?://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return
        raise SystemExit(f"the server has not started:\n{''.join(said)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        if status := self.process.wait(PATIENCE):
            raise SystemExit(f"the server has ended with the status {status}")


def main():
    with Server("app:app", "--no-access-log") as server:
        http1([Connection(server.port) for _ in range(CONNECTIONS)])
        websocket(server.port)
        http2(Connection(server.port))
    with Server("app:wsgi", "--no-access-log") as server:
        connections = [Connection(server.port) for _ in range(CONNECTIONS)]
        ask(connections, request("/"))
        ask(connections, request("/", b"x" * 1000))
        ask(connections, request("/", b"x" * 100_000), TIMES // 10)
    with Server("app:app", "--ssl-self-signed") as server:
        http1([Connection(server.port, "http/1.1") for _ in range(CONNECTIONS)])
        http2(Connection(server.port, "h2"))


if __name__ == "__main__":
    main()
