"""Services in Starlette, Litestar and Quart. FastAPI and Django have files of their own."""

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wire import Connection, get

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module")
def starlette(serve_for_module):
    return serve_for_module("starlette_app:app")


@pytest.fixture(scope="module")
def litestar(serve_for_module):
    return serve_for_module("litestar_app:app")


@pytest.fixture(scope="module")
def quart(serve_for_module):
    return serve_for_module("quart_app:app")


def begin_and_leave(server, path):
    """Reads the first part of a response without end, and closes the connection."""
    with Connection(server) as connection:
        connection.send(get(path))
        assert connection.read_head().status == 200
        connection.read_chunk()


# Starlette.


def test_a_worker_of_the_lifespan_gets_jobs(starlette, journal, key):
    assert starlette.client.get(f"/jobs?{key}").text == "added"
    assert journal.next(key) == "worked on a job"


def test_an_endpoint_has_methods(starlette):
    assert starlette.client.get("/endpoint").text == "get"
    assert starlette.client.post("/endpoint", json=[1]).json() == [1]
    assert starlette.client.put("/endpoint").status_code == 405


def test_a_session_and_a_user(starlette):
    with httpx.Client(base_url=starlette.url, trust_env=False) as client:
        assert [client.get("/counts").json()["count"] for _ in range(3)] == [1, 2, 3]
    assert starlette.client.get("/whoami").status_code == 401
    assert starlette.client.get("/whoami", headers={"x-user": "me"}).text == "me"


def test_a_mount_has_its_root_path(starlette):
    expected = {
        "path": "/mounted/here/a b",
        "root_path": "/mounted",
        "to": f"{starlette.url}/mounted/here",
    }
    assert starlette.client.get("/mounted/here/a%20b").json() == expected


def test_a_mount_below_a_root_path(serve):
    server = serve("starlette_app:app", "--root-path", "/proxied")
    answer = server.client.get("/mounted/here").json()
    assert answer["root_path"] == "/proxied/mounted"
    assert answer["to"] == f"{server.url}/proxied/mounted/here"


def test_another_host(starlette):
    assert starlette.client.get("/", headers={"host": "other.test"}).text == "other host"


def test_events_of_starlette_end_with_their_client(starlette, journal, key):
    begin_and_leave(starlette, f"/events?{key}")
    assert journal.next(key) == "ended"


def test_a_task_group_cancels_the_slower_task(starlette):
    assert starlette.client.get("/cancelled").json() == [0.001]


def test_an_endpoint_of_a_websocket(starlette, journal, key):
    with starlette.websocket(f"/echo?{key}", additional_headers={"cookie": "a=1"}) as websocket:
        assert websocket.recv() == '{"path":"/echo","cookies":{"a":"1"}}'
        websocket.send('{"x": [1, 2]}')
        assert websocket.recv() == '{"received":{"x":[1,2]}}'
        websocket.close(4001)
    assert journal.next(key) == 4001


def test_two_tasks_relay_and_end_together(starlette, journal, key):
    with starlette.websocket(f"/relay?{key}") as websocket:
        for text in ("one", "two"):
            websocket.send(text)
            assert websocket.recv() == text
    assert journal.next(key) == "left the group"


def test_a_websocket_times_out(starlette):
    with starlette.websocket("/times-out") as websocket, pytest.raises(ConnectionClosed) as closed:
        websocket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4008, "too slow")


# Litestar.


def test_a_controller(litestar):
    assert litestar.client.get("/todos/7").json() == {"title": "todo 7", "done": False}
    assert litestar.client.post("/todos", json={"title": "ä"}).json() == {
        "title": "ä",
        "done": True,
    }
    assert litestar.client.delete("/todos/7").status_code == 204
    assert litestar.client.post("/todos", json={"name": "x"}).status_code == 400


def test_threads_streams_events_and_state(litestar):
    assert litestar.client.get("/sync").json() == {"in": "a thread"}
    assert litestar.client.get("/stream").text == "part 0 part 1 part 2 "
    events = [f"event: number\r\ndata: {number}\r\n\r\n" for number in range(3)]
    assert litestar.client.get("/events").text == "".join(events)
    assert litestar.client.get("/state").json() == {"state": "set at start-up"}
    assert litestar.client.get("/schema/openapi.json").status_code == 200


def test_an_upload_to_litestar(litestar):
    answer = litestar.client.post("/upload", files={"data": ("a", b"x" * 3_000_000)})
    assert answer.json() == {"size": 3_000_000}


def test_an_exception_in_litestar(litestar):
    litestar.expect_error("raised in Litestar")
    assert litestar.client.get("/raises").status_code == 500


def test_websockets_of_litestar(litestar, journal, key):
    with litestar.websocket("/listener") as websocket:
        websocket.send('{"x": 1}')
        assert websocket.recv() in ('{"x":2}', b'{"x":2}')
    with litestar.websocket(f"/socket?{key}") as websocket:
        websocket.send("text")
        assert websocket.recv() == "text"
        websocket.close(3000)
    assert journal.next(key) == 3000


# Quart.


def test_templates_json_and_errors(quart):
    quart.expect_error("raised in Quart")
    assert quart.client.get("/").text == "Hello set before serving"
    assert quart.client.post("/json", json={"a": "ä"}).json() == {"a": "ä"}
    assert quart.client.get("/missing").status_code == 404
    assert quart.client.get("/raises").status_code == 500
    assert quart.client.get("/sync").text == "in a thread"


def test_uploads_to_quart(quart):
    answer = quart.client.post(
        "/upload", data={"note": "ü"}, files={"file": ("a", b"x" * 1_000_000)}
    )
    assert answer.json() == {"note": "ü", "size": 1_000_000}
    assert quart.client.post("/size", content=(b"x" * 1000 for _ in range(1000))).text == "1000000"


def test_streams_and_background_tasks(quart, journal, key):
    answer = quart.client.get("/stream")
    assert (answer.text, answer.headers["x-kind"]) == ("part 0 part 1 part 2 ", "stream")
    assert quart.client.get(f"/background?{key}").status_code == 202
    assert journal.next(key) == "worked"


def test_events_of_quart_end_with_their_client(quart, journal, key):
    begin_and_leave(quart, f"/events?{key}")
    assert journal.next(key) == "ended"


def test_websockets_of_quart(quart, journal, key):
    with quart.websocket(f"/echo?{key}") as websocket:
        for message in ("text", b"octets"):
            websocket.send(message)
            assert websocket.recv() == message
    assert journal.next(key) == "CancelledError"
    with quart.websocket("/both") as websocket:
        for _ in range(3):
            websocket.send("x")
        assert [websocket.recv() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(ConnectionClosed):
            websocket.recv()


def test_a_websocket_of_quart_is_refused(quart):
    quart.expect_error("returned without completing handshake", only="uvicorn")
    with pytest.raises(InvalidStatus) as refused:
        quart.websocket("/refuses")
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"not you"
