"""HTTP/2 as an application of bare ASGI sees it, and as its client does."""

import h2.events
import httpx
import pytest

from conftest import SERVER
from wire import CLOSE, TEXT, Http2, frame

pytestmark = pytest.mark.every_loop

if SERVER == "uvicorn":
    pytest.skip("uvicorn speaks HTTP/2 by another package only", allow_module_level=True)


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("raw_http2:app")


@pytest.fixture
def connection(server):
    with Http2(server) as connection:
        yield connection


def test_the_scope_has_no_pseudo_fields(connection, journal, key):
    response = connection.ask(f"/a%20b/%C3%A9?{key}", ("x-field", "caf\xe9"), ("x-field", "2"))
    assert (response.status, response.body) == (200, b"hello")
    scope = journal.next(key)
    assert scope["http_version"] == "2"
    assert (scope["method"], scope["scheme"]) == ("GET", "http")
    assert (scope["path"], scope["raw_path"]) == ("/a b/é", b"/a%20b/%C3%A9")
    headers = [tuple(pair) for pair in scope["headers"]]
    assert (b"host", connection.authority.encode()) in headers
    assert [name for name, _ in headers if name.startswith(b":")] == []
    assert len([value for name, value in headers if name == b"x-field"]) == 2


def test_cookies_may_come_in_several_fields(connection):
    response = connection.ask("/joins_cookies", ("cookie", "a=1"), ("cookie", "b=2"))
    assert response.body == b"a=1; b=2"


@pytest.mark.parametrize("size", [1, 2**16, 2**20])
def test_content_is_echoed(server, size):
    with httpx.Client(base_url=server.url, http1=False, http2=True, trust_env=False) as client:
        answer = client.post("/echo", content=b"x" * size)
        assert (answer.http_version, answer.content) == ("HTTP/2", b"x" * size)


def test_content_comes_as_it_is_sent(connection, journal, key):
    stream = connection.begin(f"/receives_until_disconnect?{key}", method="POST", end=False)
    connection.send(stream, b"part")
    received = b""
    while received != b"part":
        received += journal.next(key)["body"]
    connection.reset(stream)
    assert journal.next(key) == {"type": "http.disconnect"}


def test_a_large_response_arrives_whole(connection):
    response = connection.ask("/large")
    assert response.body == b"".join(bytes([number]) * 2**15 for number in range(256))


def test_streams_are_served_at_the_same_time(connection):
    streams = [connection.begin("/meets") for _ in range(5)]
    assert [connection.read_response(stream).body for stream in streams] == [b"hello"] * 5


def test_a_response_to_head_has_no_content(connection):
    response = connection.ask("/hello", method="HEAD")
    assert (response.get(b"content-length"), response.body) == ([b"5"], b"")


def test_fields_of_the_connection_are_not_sent(connection):
    for path in ("/own_transfer_encoding", "/closes"):
        response = connection.ask(path)
        assert response.status == 200
        assert response.get(b"transfer-encoding") == response.get(b"connection") == []


def test_the_reset_of_a_stream_is_a_disconnect_and_others_go_on(connection, journal, key):
    stream = connection.begin(f"/receives_until_disconnect?{key}")
    assert journal.next(key)["type"] == "http.request"
    connection.reset(stream)
    assert journal.next(key) == {"type": "http.disconnect"}
    assert connection.ask("/hello").body == b"hello"


def test_the_end_of_the_connection_is_a_disconnect_of_each_stream(connection, journal, key):
    for _ in range(3):
        connection.begin(f"/receives_until_disconnect?{key}")
        assert journal.next(key)["type"] == "http.request"
    connection.socket.close()
    assert [journal.next(key) for _ in range(3)] == [{"type": "http.disconnect"}] * 3


def test_an_exception_is_an_error_of_its_stream_only(server, connection):
    server.expect_error("raised")
    other = connection.begin("/receives_until_disconnect?none")
    assert connection.ask("/raises").status == 500
    stream = connection.begin("/raises_after_start")
    connection.wait_for(h2.events.StreamReset, stream)
    assert connection.ask("/hello").body == b"hello"
    connection.reset(other)


def test_sigterm_lets_streams_end(serve, journal, key):
    server = serve("raw_http2:app")
    with Http2(server) as connection:
        assert connection.ask("/hello").body == b"hello"
        connection.begin(f"/answers_in_a_moment?{key}")
        assert journal.next(key) == "called"
        server.signal()
        assert connection.read_data_to_end() == b"hello"
    server.wait_until_ended()


def test_a_websocket_over_http_2(connection, journal, key):
    """RFC 8441."""
    while not connection.connection.remote_settings.enable_connect_protocol:
        connection.wait_for(h2.events.RemoteSettingsChanged)
    fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":authority", connection.authority),
        (":path", f"/echo?{key}"),
        ("sec-websocket-version", "13"),
    ]
    stream = connection.connection.get_next_available_stream_id()
    connection.connection.send_headers(stream, fields)
    connection.flush()
    head = connection.wait_for(h2.events.ResponseReceived, stream)
    assert dict(head.headers)[b":status"] == b"200"
    connection.send(stream, frame(TEXT, b"text"))
    octets = b""
    while len(octets) < 6:
        octets += connection.wait_for(h2.events.DataReceived, stream).data
    assert octets == b"\x81\x04text"
    connection.send(stream, frame(CLOSE, b"\x03\xe8"))
    assert journal.next(key)["code"] == 1000
