"""A service in FastAPI: its clients, threads, streams, files, uploads, dependencies and WebSockets."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conftest import APPS
from wire import Connection, WebSocket, get, handshake

pytestmark = pytest.mark.every_loop

CHUNK = b"0123456789abcdef" * 4096

# What the server may hold of one stream, beside what the system holds. A chunk has 64 KiB.
MEMORY_OF_A_STREAM = 48 * 2**20

# A server may close the connection when an exception leaves the application after its response.
LAST = {"connection": "close"}


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("fastapi_app:app")


@pytest.fixture(scope="module")
def behind_middleware(serve_for_module):
    return serve_for_module("fastapi_middleware:app")


@pytest.fixture
def client(server):
    return server.client


# Requests and responses.


def test_a_model_comes_in_and_goes_out(client):
    answer = client.post("/items/7?q=%C3%A9", json={"name": "ä", "price": 1.5, "tags": ["x"]})
    assert answer.status_code == 201
    assert answer.json() == {"number": 7, "q": "é", "name": "ä", "price": 1.5, "tags": ["x"]}


@pytest.mark.parametrize("content", [b'{"name": "x"}', b"no json", b""])
def test_content_that_does_not_fit_is_422(client, content):
    answer = client.post("/items/7", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422


def test_functions_and_coroutines_are_handlers(client):
    assert client.get("/def").json() == {"def": True}
    assert client.get("/sleeps").json() == {"slept": True}


def test_an_http_exception_has_its_fields(client):
    answer = client.get("/missing")
    assert (answer.status_code, answer.headers["x-reason"]) == (404, "missing")


def test_an_exception_gives_500_and_is_logged(server, client):
    server.expect_error("raised in a handler")
    assert client.get("/raises", headers=LAST).status_code == 500
    server.wait_for_output("ValueError: raised in a handler")


def test_an_exception_handler_answers(client):
    answer = client.get("/handled")
    assert (answer.status_code, answer.json()) == (409, {"missing": "key"})


def test_redirects_methods_and_cookies(client):
    assert client.get("/redirect", follow_redirects=True).json() == {"def": True}
    assert client.put("/def").status_code == 405
    assert client.get("/nowhere").status_code == 404
    answer = client.get("/cookies", headers={"cookie": "c=3; d=4"})
    assert answer.json() == {"c": "3", "d": "4"}
    assert len(answer.headers.get_list("set-cookie")) == 2
    client.cookies.clear()


def test_the_middleware_of_the_framework_works(client):
    answer = client.get(
        "/large", headers={"origin": "https://example.com", "accept-encoding": "gzip"}
    )
    assert answer.headers["access-control-allow-origin"] == "https://example.com"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.text == "x" * 100_000
    preflight = {"origin": "https://example.com", "access-control-request-method": "GET"}
    assert client.options("/large", headers=preflight).status_code == 200


def test_the_url_is_the_one_that_was_asked_for(server, client):
    assert client.get("/url?x=1").json() == {"url": f"{server.url}/url?x=1", "client": "127.0.0.1"}


def test_the_documentation_is_served(client):
    assert client.get("/openapi.json").json()["info"]["title"] == "FastAPI"
    assert client.get("/docs").status_code == 200


def test_many_clients_at_once(client):
    paths = ["/def", "/sleeps", "/threadpool", "/large", "/file", "/clients/httpx"] * 20
    with ThreadPoolExecutor(16) as threads:
        assert {answer.status_code for answer in threads.map(client.get, paths)} == {200}


# Clients inside handlers.


def test_a_handler_asks_by_httpx(client):
    assert client.get("/clients/httpx").json() == [{"slept": True}, {"def": True}]


def test_a_handler_asks_redis(redis_url, client):
    first, second = (client.get("/clients/redis").json() for _ in range(2))
    assert first["value"] == "value"
    assert second["count"] == first["count"] + 1


def test_a_handler_asks_postgres(postgres_url, client):
    assert client.get("/clients/postgres").json() == [{"number": 1}, {"number": 2}, {"number": 3}]


# Threads, streams, files, background work.


def test_run_in_threadpool(client):
    assert client.get("/threadpool").json() == {"sum": 4999950000}


@pytest.mark.parametrize("path", ["/stream/1600?none", "/stream-of-a-generator/400"])
def test_a_long_stream_arrives_whole_and_in_bounded_memory(server, client, path):
    client.get("/def")
    before = server.memory()
    size = 0
    with client.stream("GET", path) as answer:
        for chunk in answer.iter_raw():
            size += len(chunk)
    assert size == int(path.split("/")[2].split("?")[0]) * len(CHUNK)
    assert server.memory("VmHWM") - before < MEMORY_OF_A_STREAM


def test_a_stream_that_nobody_reads_stops_in_bounded_memory(server, client, journal, key):
    client.get("/def")
    before = server.memory()
    with Connection(server) as connection:
        connection.send(get(f"/stream/1600?{key}"))
        sent = 0
        while sent < 1600:
            try:
                sent = journal.next(key, timeout=0.5)
            except AssertionError:
                break
        assert sent < 1600, "the server has taken 100 MiB that the client has not read"
        assert server.memory("VmHWM") - before < MEMORY_OF_A_STREAM
        head = connection.read_head()
        assert head.get(b"transfer-encoding") == [b"chunked"]
        size = 0
        while chunk := connection.read_chunk():
            assert chunk == CHUNK[: len(chunk)]
            size += len(chunk)
    assert size == 1600 * len(CHUNK)


def test_a_file_and_a_part_of_it(client):
    octets = (APPS / "fastapi_app.py").read_bytes()
    answer = client.get("/file", headers={"accept-encoding": "identity"})
    assert answer.content == octets
    assert answer.headers["content-length"] == str(len(octets))
    assert 'filename="app.py"' in answer.headers["content-disposition"]
    part = client.get("/file", headers={"range": "bytes=10-19", "accept-encoding": "identity"})
    assert (part.status_code, part.content) == (206, octets[10:20])
    static = client.get("/static/fastapi_app.py", headers={"accept-encoding": "identity"})
    assert static.content == octets
    unchanged = client.get(
        "/static/fastapi_app.py", headers={"if-none-match": static.headers["etag"]}
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    head = client.head("/static/fastapi_app.py", headers={"accept-encoding": "identity"})
    assert head.headers["content-length"] == str(len(octets))


def test_background_work_is_done_after_the_answer(client, journal, key):
    assert client.get(f"/background?{key}").json() == {"accepted": True}
    assert [journal.next(key) for _ in range(2)] == ["async work", "work in a thread"]


def test_background_work_that_raises_leaves_the_answer_whole(server, client):
    server.expect_error("raised in background work")
    assert client.get("/background-that-raises", headers=LAST).json() == {"accepted": True}
    server.wait_for_output("ValueError: raised in background work")


# Uploads.


def test_files_of_a_form(client):
    files = [("files", ("small.txt", b"small")), ("files", ("large.bin", b"x" * 5_000_000))]
    answer = client.post("/upload", data={"note": "ä"}, files=files)
    assert answer.json() == {"note": "ä", "sizes": {"small.txt": 5, "large.bin": 5_000_000}}


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_a_large_upload_takes_bounded_memory(server, client, length):
    client.get("/def")
    before, size = server.memory(), 1000 * len(CHUNK)
    headers = {"content-length": str(size)} if length else {}
    answer = client.post("/upload-raw", content=(CHUNK for _ in range(1000)), headers=headers)
    assert answer.json() == {"size": size}
    assert server.memory("VmHWM") - before < MEMORY_OF_A_STREAM


def test_an_upload_may_be_refused_before_its_end(server):
    with Connection(server) as connection:
        connection.send(
            get("/upload-refused", f"Content-Length: {2**30}", method="POST") + b"begun"
        )
        assert connection.read_response().status == 413


# Dependencies with `yield`.


def test_dependencies_end_after_the_handler(client, journal, key):
    assert client.get(f"/dependency?{key}").json() == ["resource", "resource in a thread"]
    assert [journal.next(key) for _ in range(4)] == [
        "opened",
        "handler",
        "closed in a thread",
        "closed",
    ]


def test_a_dependency_sees_the_error_of_the_handler(client, journal, key):
    assert client.get(f"/dependency-that-sees-an-error?{key}").status_code == 418
    assert [journal.next(key) for _ in range(3)] == ["opened", "HTTPException", "closed"]


# Middleware.


def test_middleware_changes_fields_and_content(behind_middleware):
    answer = behind_middleware.client.post("/echo", content=b"some content")
    assert answer.text == '{"BODY":"SOME CONTENT"}'
    assert answer.headers["x-body"] == "some content"
    assert float(answer.headers["x-time"]) >= 0
    assert behind_middleware.client.get("/streams").text == "PART PART PART "


def test_an_exception_passes_middleware(behind_middleware):
    behind_middleware.expect_error("raised behind middleware")
    assert behind_middleware.client.get("/raises", headers=LAST).status_code == 500
    behind_middleware.wait_for_output("ValueError: raised behind middleware")


# WebSockets.


def test_text_is_echoed_and_the_close_code_is_seen(server, journal, key):
    with server.websocket(f"/ws/echo?{key}") as websocket:
        for text in ("one", "zwei ü", "x" * 100_000):
            websocket.send(text)
            assert websocket.recv() == text
        websocket.close(3001, "enough")
    assert journal.next(key) == (3001, "enough")


def test_a_websocket_is_iterated(server, journal, key):
    with server.websocket(f"/ws/iterates?{key}") as websocket:
        websocket.send("text")
        assert websocket.recv() == '{"text":"text"}'
    assert journal.next(key) == "ended"
    with server.websocket("/ws/octets") as websocket:
        websocket.send(b"\0\1\2")
        assert websocket.recv() == b"\2\1\0"


def test_subprotocols(server):
    with server.websocket("/ws/subprotocol", subprotocols=["other", "chat"]) as websocket:
        assert websocket.subprotocol == "chat"
        assert websocket.response.headers["x-offered"] == "other,chat"
    with server.websocket("/ws/subprotocol") as websocket:
        assert websocket.subprotocol is None


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/ws/closes/1000", 1000, "the reason"),
        ("/ws/closes/4321", 4321, "the reason"),
        ("/ws/exception", 1008, "against the policy"),
    ],
)
def test_a_handler_closes(server, path, code, reason):
    with server.websocket(path) as websocket, pytest.raises(ConnectionClosed) as closed:
        websocket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


def test_an_exception_in_a_websocket_is_logged(server):
    server.expect_error("raised in a WebSocket")
    with WebSocket(server, "/ws/raises") as websocket:
        assert websocket.read_close() in (1006, 1011)
    server.wait_for_output("ValueError: raised in a WebSocket")


@pytest.mark.parametrize("path", ["/ws/refuses", "/ws/nowhere", "/ws/dependency/no-number"])
def test_a_websocket_is_refused_with_403(server, path):
    with pytest.raises(InvalidStatus) as refused:
        server.websocket(path)
    assert refused.value.response.status_code == 403


def test_a_websocket_is_denied_with_a_response(server):
    server.expect_error("returned without completing handshake", only="uvicorn")
    with pytest.raises(InvalidStatus) as refused:
        server.websocket("/ws/denies")
    assert refused.value.response.status_code == 401
    assert refused.value.response.body == b'{"detail":"who are you?"}'


def test_a_websocket_has_parameters_and_dependencies(server):
    with server.websocket("/ws/dependency/7") as websocket:
        assert websocket.recv() == '[7,"from a dependency"]'


def test_one_task_sends_what_another_receives(server, journal, key):
    with server.websocket(f"/ws/pushes?{key}") as websocket:
        websocket.send("one two three")
        assert [websocket.recv() for _ in range(3)] == ["one", "two", "three"]
    assert journal.next(key) is True


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_goes_without_a_close_frame(server, journal, key, end):
    with WebSocket(server, f"/ws/echo?{key}") as websocket:
        if end == "reset":
            websocket.reset()
    code, _ = journal.next(key)
    assert code in (1005, 1006)


def test_a_client_that_goes_before_the_accept(server, client, journal, key):
    with Connection(server) as connection:
        connection.send(handshake(f"/ws/waits-before-accept?{key}"))
        assert journal.next(key) == "called"
    # An acceptance may be sent before the server knows that the client is gone.
    server.expect_error("WebSocketDisconnect: (1006", only="callgate")
    client.get("/go-on")
    assert journal.next(key) == "ended"


def test_sends_to_a_client_that_is_gone(server, client, journal, key):
    with WebSocket(server, f"/ws/sends-to-a-client-that-is-gone?{key}"):
        assert journal.next(key) == "accepted"
    client.get("/go-on")
    assert journal.next(key) in ("no effect", "WebSocketDisconnect")
