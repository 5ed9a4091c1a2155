"""Applications of WSGI, bare and of Flask. Django by WSGI is in `test_seeds.py` and `test_django.py`."""

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from conftest import APPS
from wire import Closed, Connection, get

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("raw_wsgi:app", "--interface", "wsgi")


@pytest.fixture(scope="module")
def flask(serve_for_module):
    return serve_for_module("flask_app:app", "--interface", "wsgi")


@pytest.fixture
def client(server):
    return server.client


# Bare WSGI.


@pytest.mark.uvicorn_fails("has fewer keys")
def test_the_environment(server, client, journal, key):
    client.get(f"/a%20b/%C3%A9?{key}", headers={"x-field": "1", "content-type": "text/x"})
    environ = journal.next(key)
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SCRIPT_NAME"] == ""
    # WSGI has the octets of the path as Latin-1.
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/a b/é"
    assert environ["QUERY_STRING"] == key
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["HTTP_X_FIELD"] == "1"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_NAME"] and environ["SERVER_PORT"] == str(server.address[1])
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.input_terminated"] is True


def test_fields_of_one_name_are_joined(server, journal, key):
    with Connection(server) as connection:
        connection.ask(get(f"/show_environ?{key}", "X-List: 1", "X-List: 2"))
    assert journal.next(key)["HTTP_X_LIST"] in ("1,2", "1, 2")


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_content_is_read(client, size):
    answer = client.post("/echo", content=b"x" * size)
    assert (answer.status_code, answer.content) == (201, b"x" * size)


def test_chunked_content_is_read(client):
    assert client.post("/echo", content=iter([b"one ", b"two"])).content == b"one two"


def test_content_is_read_by_lines_and_in_pieces(client):
    assert client.post("/echo_lines", content=b"one\ntwo\nthree").content == b"ONE\nTWO\nTHREE"
    assert client.post("/reads_in_pieces", content=b"x" * 123_456).text == "123456"


def test_a_generator_is_content(client):
    answer = client.get("/generator")
    assert (answer.text, answer.headers["x-kind"]) == ("part 0 part 1 part 2 ", "generator")


@pytest.mark.uvicorn_fails("does not close it")
def test_the_iterable_is_closed(client, journal, key):
    assert client.get(f"/closing?{key}").text == "one two"
    assert journal.next(key) == "closed"


@pytest.mark.uvicorn_fails("has no `write`")
def test_what_is_written_comes_first(client):
    assert client.get("/writes").text == "written returned"


def test_a_status_without_content(client):
    assert client.get("/empty").status_code == 204


def test_a_head_request(server):
    with Connection(server) as connection:
        response = connection.ask(get("/plain", method="HEAD"), head_only=True)
        assert response.get(b"content-length") == [b"5"]
        assert connection.ask(get("/plain")).body == b"hello"


@pytest.mark.uvicorn_fails("fails at fields outside of ASCII")
def test_fields_of_the_response(server):
    with Connection(server) as connection:
        response = connection.ask(get("/fields"))
    assert response.get(b"set-cookie") == [b"a=1", b"b=2"]
    assert response.get(b"x-latin") == [b"caf\xe9"]


def test_an_exception_gives_500_and_is_logged(server):
    server.expect_error("raised in WSGI")
    with Connection(server) as connection:
        assert connection.ask(get("/raises")).status == 500
    server.wait_for_output("ValueError: raised in WSGI")


def test_an_exception_in_the_content_cuts_the_response(server):
    server.expect_error("raised in the content")
    with Connection(server) as connection:
        connection.send(get("/raises_in_the_content"))
        with pytest.raises(Closed):
            connection.read_response()
    server.wait_for_output("ValueError: raised in the content")


@pytest.mark.uvicorn_fails(
    "sends the head at `start_response`, not with the first content as PEP 3333 has it"
)
def test_the_start_may_be_replaced_after_an_exception(server):
    server.expect_error("too late for the first start")
    with Connection(server) as connection:
        response = connection.ask(get("/replaces_the_start"))
    assert (response.status, response.body) == (500, b"own error")


def test_a_status_of_its_own(client):
    assert client.get("/own_reason").status_code == 299


def test_calls_run_in_several_threads(client):
    with ThreadPoolExecutor(2) as threads:
        names = {answer.text for answer in threads.map(lambda _: client.get("/thread"), range(2))}
    assert len(names) == 2


def test_a_large_response_arrives_whole(client):
    assert len(client.get("/large").content) == 800 * 2**16


def test_a_call_is_waited_for_at_sigterm(serve, journal, key):
    server = serve("raw_wsgi:app", "--interface", "wsgi")
    with Connection(server) as connection:
        connection.send(get(f"/works_on?{key}"))
        assert journal.next(key) == "called"
        server.signal()
        assert connection.read_response().body == b"hello"
    assert server.wait_until_ended() in (0, -signal.SIGTERM)


@pytest.mark.uvicorn_fails("waits for them")
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]])
@pytest.mark.parametrize("path", ["/sleeps", "/computes"])
def test_calls_that_do_not_end_do_not_hold_the_end_up(serve, journal, key, path, flags):
    server = serve(
        "stuck_wsgi:app", "--interface", "wsgi", "--timeout-graceful-shutdown", "1", *flags
    )
    with Connection(server) as connection:
        connection.send(get(f"{path}?{key}"))
        assert journal.next(key) == "called"
        server.signal()
        with pytest.raises(Closed):
            connection.read_response()
    assert server.wait_until_ended() == 0
    assert "a thread of the application goes on, and ends with the process" in server.output


# Flask.


def test_json_forms_and_files(flask):
    assert flask.client.post("/json", json={"a": ["ä"]}).json() == {"a": ["ä"]}
    files = {"file": ("name.bin", b"x" * 1_000_000)}
    answer = flask.client.post("/form", data={"note": "ü"}, files=files)
    assert answer.json() == {"note": "ü", "name": "name.bin", "size": 1_000_000}


def test_a_session(flask):
    with httpx.Client(base_url=flask.url, trust_env=False) as client:
        assert [client.get("/counts").text for _ in range(3)] == ["1", "2", "3"]


def test_a_stream_and_a_file(flask):
    assert flask.client.get("/stream").text == "/stream 0 /stream 1 /stream 2 "
    octets = (APPS / "flask_app.py").read_bytes()
    assert flask.client.get("/file").content == octets
    assert flask.client.get("/file", headers={"range": "bytes=0-3"}).content == octets[:4]


def test_errors_of_flask(flask):
    flask.expect_error("raised in Flask")
    assert flask.client.get("/missing").status_code == 404
    assert flask.client.get("/raises").status_code == 500
    flask.wait_for_output("ValueError: raised in Flask")


def test_urls_of_flask(flask):
    answer = flask.client.get("/redirect", follow_redirects=True).json()
    assert answer == {"url": f"{flask.url}/url", "client": "127.0.0.1", "args": {}}
    assert flask.client.get("/url?a=1&a=%C3%A4").json()["args"] == {"a": ["1", "ä"]}
    assert flask.client.get("/blueprint/ü/7").json() == {"path": "/blueprint/ü/7", "number": 7}


def test_many_clients_at_once(flask):
    with ThreadPoolExecutor(20) as threads:
        assert {answer.status_code for answer in threads.map(flask.client.get, ["/url"] * 200)} == {
            200
        }
