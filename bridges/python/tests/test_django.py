"""Django, with asynchronous and synchronous views, and the consumers of Channels."""

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conftest import APPS
from wire import Connection, WebSocket, get

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("django_channels:application")


@pytest.fixture
def client(server):
    return server.client


def test_an_asynchronous_view(client):
    answer = client.get("/asynchronous?a=%C3%A4")
    assert answer.json() == {
        "path": "/asynchronous",
        "query": {"a": "ä"},
        "context": "set in middleware",
    }
    assert answer.headers["x-middleware"] == "1"


def test_a_synchronous_view(server, client):
    host = server.url.removeprefix("http://")
    assert client.post("/synchronous").json() == {"scheme": "http", "method": "POST", "host": host}


def test_a_form_with_a_file(client):
    answer = client.post("/form", data={"note": "ü"}, files={"file": ("a", b"x" * 4_000_000)})
    assert answer.json() == {"note": "ü", "size": 4_000_000}


@pytest.mark.parametrize("size", [0, 1, 2_000_000])
def test_content(client, size):
    assert client.post("/content", content=b"x" * size).content == b"x" * size


def test_streams_and_files(server, client):
    # Django warns where a stream and its server are not of one kind.
    assert (
        client.get("/stream").text
        == client.get("/stream-of-a-thread").text
        == "part 0 part 1 part 2 "
    )
    assert client.get("/file").content == (APPS / "django_channels.py").read_bytes()


def test_an_exception_gives_500(server, client):
    server.expect_error("raised in Django")
    assert client.get("/raises").status_code == 500


def test_a_request_is_finished(client, journal, key):
    assert client.get(f"/finishes?{key}").text == "done"
    assert journal.next(key) == "finished"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_view_ends_with_its_client(server, journal, key, end):
    with Connection(server) as connection:
        connection.send(get(f"/ends-with-its-client?{key}"))
        assert journal.next(key) == "called"
        if end == "reset":
            connection.reset()
    assert journal.next(key) == "CancelledError"


def test_a_stream_ends_with_its_client(server, journal, key):
    with Connection(server) as connection:
        connection.send(get(f"/endless?{key}"))
        connection.read_head()
        connection.read_chunk()
    assert journal.next(key) in ("CancelledError", "GeneratorExit")


def test_a_consumer_of_http(client):
    answer = client.get("/events")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_a_group_of_consumers(server, journal, key):
    with (
        server.websocket(f"/group/room?{key}") as one,
        server.websocket("/group/room?none") as other,
    ):
        one.send('{"text": "ä"}')
        assert one.recv() == other.recv() == '{"text": "\\u00e4"}'
    assert journal.next(key) == 1000


def test_a_synchronous_consumer(server, journal, key):
    with server.websocket(f"/echo?{key}", subprotocols=["echo"]) as websocket:
        assert websocket.subprotocol == "echo"
        for message in ("text", b"octets", "x" * 70_000):
            websocket.send(message)
            assert websocket.recv() == message
        websocket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv()
    assert closed.value.rcvd.code == 4000
    # The client answers with the code that it has got.
    assert journal.next(key) == 4000


def test_a_consumer_refuses(server):
    with pytest.raises(InvalidStatus) as refused:
        server.websocket("/refuses")
    assert refused.value.response.status_code == 403


def test_a_consumer_learns_that_its_client_is_lost(server, journal, key):
    with WebSocket(server, f"/group/other?{key}") as websocket:
        assert websocket.response.status == 101
    assert journal.next(key) in (1005, 1006)
