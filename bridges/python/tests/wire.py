"""A client that writes and reads octets: what a client library would not send, and would not show."""

import os
import socket
import struct

import h2.config
import h2.connection
import h2.events


class Closed(Exception):
    """The server has closed the connection before the end of what was to be read."""


class Response:
    def __init__(self, version, status, fields, body):
        self.version = version
        self.status = status
        self.fields = fields
        self.body = body

    def get(self, name):
        """Returns the values of a field, in their order."""
        return [value for field, value in self.fields if field.lower() == name]


class Connection:
    """A connection to a server. Everything that is read fails after `conftest.PATIENCE` seconds."""

    def __init__(self, server):
        self.socket = server.connect("http/1.1")
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, octets):
        self.socket.sendall(octets)

    def reset(self):
        """Closes the connection by a reset, as a client that crashes does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _fill(self):
        octets = self.socket.recv(2**16)
        if not octets:
            raise Closed(self.buffer)
        self.buffer += octets

    def read_until(self, end):
        while end not in self.buffer:
            self._fill()
        head, _, self.buffer = self.buffer.partition(end)
        return head

    def read_exactly(self, size):
        while len(self.buffer) < size:
            self._fill()
        octets, self.buffer = self.buffer[:size], self.buffer[size:]
        return octets

    def read_to_end(self):
        """Returns all octets until the server closes the connection."""
        try:
            while True:
                self._fill()
        except (Closed, ConnectionResetError):
            octets, self.buffer = self.buffer, b""
            return octets

    def read_head(self):
        """Returns version, status and fields of a response."""
        status_line, *lines = self.read_until(b"\r\n\r\n").split(b"\r\n")
        version, status, *_ = status_line.split(b" ", 2)
        fields = [tuple(line.split(b": ", 1)) for line in lines]
        return Response(version, int(status), fields, b"")

    def read_chunk(self):
        size = int(self.read_until(b"\r\n").split(b";")[0], 16)
        chunk = self.read_exactly(size)
        assert self.read_exactly(2) == b"\r\n"
        return chunk

    def read_response(self, head_only=False):
        """Returns a whole response. Raises `Closed` when the connection ends before the response does."""
        response = self.read_head()
        if head_only or response.status in (204, 304) or response.status < 200:
            return response
        if response.get(b"transfer-encoding") == [b"chunked"]:
            while chunk := self.read_chunk():
                response.body += chunk
        elif length := response.get(b"content-length"):
            response.body = self.read_exactly(int(length[0]))
        else:
            response.body = self.read_to_end()
        return response

    def ask(self, octets, **options):
        self.send(octets)
        return self.read_response(**options)


def get(path, *fields, method="GET", version="HTTP/1.1"):
    """Returns the octets of a request without content."""
    lines = [f"{method} {path} {version}", "Host: test", *fields]
    return "".join(line + "\r\n" for line in lines).encode("latin-1") + b"\r\n"


def post(path, body, *fields):
    """Returns the octets of a request with content of a known length."""
    return get(path, f"Content-Length: {len(body)}", *fields, method="POST") + body


# WebSockets.

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class WebSocket(Connection):
    """A WebSocket whose frames the test writes and reads itself."""

    def __init__(self, server, path, *fields):
        super().__init__(server)
        self.send(handshake(path, *fields))
        self.response = self.read_response(head_only=True)

    def send_frame(self, opcode, payload=b"", final=True):
        self.send(frame(opcode, payload, final))

    def read_frame(self):
        """Returns opcode and payload of a frame."""
        first, second = self.read_exactly(2)
        size = second & 0x7F
        if size == 126:
            [size] = struct.unpack("!H", self.read_exactly(2))
        elif size == 127:
            [size] = struct.unpack("!Q", self.read_exactly(8))
        return first & 0x0F, self.read_exactly(size)

    def read_close(self):
        """Returns the code of the server's close frame, or 1006 when the connection ends without one."""
        try:
            while True:
                opcode, payload = self.read_frame()
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2])[0] if payload else 1005
        except (Closed, ConnectionResetError):
            return 1006


def handshake(path, *fields):
    return get(
        path,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *fields,
    )


def frame(opcode, payload=b"", final=True):
    """Returns the octets of a client's frame, which is masked."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        length = bytes([0x80 | 127]) + struct.pack("!Q", size)
    mask = os.urandom(4)
    whole = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(size, "big")
    return bytes([(0x80 if final else 0) | opcode]) + length + mask + masked


# HTTP/2.

DATA, PING_FRAME = 0x0, 0x6


class Http2:
    """A connection of HTTP/2; in cleartext by prior knowledge."""

    def __init__(self, server):
        self.socket = server.connect("h2")
        self.scheme = "https" if server.certificate else "http"
        self.authority = "{}:{}".format(*server.address)
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding=None)
        )
        self.connection.initiate_connection()
        self.events = []
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def begin(self, path, *fields, method="GET", end=True):
        """Sends the head of a request, and returns its stream."""
        stream = self.connection.get_next_available_stream_id()
        head = [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", self.authority),
            (":path", path),
        ]
        self.connection.send_headers(stream, [*head, *fields], end_stream=end)
        self.flush()
        return stream

    def send(self, stream, octets, end=False):
        """Sends content, as the server permits it."""
        while True:
            window = self.connection.local_flow_control_window(stream)
            if octets and not window:
                self.wait_for(h2.events.WindowUpdated)
                continue
            size = min(window, self.connection.max_outbound_frame_size)
            part, octets = octets[:size], octets[size:]
            self.connection.send_data(stream, part, end_stream=end and not octets)
            self.flush()
            if not octets:
                return

    def reset(self, stream):
        self.connection.reset_stream(stream)
        self.flush()

    def wait_for(self, kind, stream=None):
        """Returns the next event of a kind, of a stream, and acknowledges all data on the way."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and (stream is None or event.stream_id == stream):
                    self.events.remove(event)
                    return event
            octets = self.socket.recv(2**16)
            if not octets:
                raise Closed(self.events)
            events = self.connection.receive_data(octets)
            for event in events:
                if isinstance(event, h2.events.DataReceived):
                    size = event.flow_controlled_length
                    self.connection.acknowledge_received_data(size, event.stream_id)
            self.events += events
            self.flush()

    def read_response(self, stream):
        """Returns the response of a stream."""
        head = self.wait_for(h2.events.ResponseReceived, stream)
        fields = [field for field in head.headers if not field[0].startswith(b":")]
        response = Response(b"HTTP/2", int(dict(head.headers)[b":status"]), fields, b"")
        self.wait_for(h2.events.StreamEnded, stream)
        for event in list(self.events):
            if isinstance(event, h2.events.DataReceived) and event.stream_id == stream:
                self.events.remove(event)
                response.body += event.data
        return response

    def read_data_to_end(self):
        """Returns all data until the server closes the connection.

        Reads the frames itself: h2 takes no more of them after a GOAWAY, and the streams go on.
        """
        data = b""
        with self.socket.makefile("rb") as frames:
            while header := frames.read(9):
                size, kind = int.from_bytes(header[:3], "big"), header[3]
                payload = frames.read(size)
                if kind == DATA:
                    data += payload
                elif kind == PING_FRAME and not header[4]:
                    self.socket.sendall(header[:4] + b"\x01" + header[5:] + payload)
        return data

    def ask(self, path, *fields, **options):
        return self.read_response(self.begin(path, *fields, **options))
