"""Start-up and shutdown of applications, and what SIGTERM does to work that is going on."""

import signal

import pytest

from conftest import APPS, SERVER
from wire import Connection, get

pytestmark = pytest.mark.every_loop


@pytest.fixture
def env(key):
    return {"CALLGATE_TEST_KEY": key}


def test_a_lifespan_goes_around_all_requests(serve, journal, key, env):
    server = serve("raw_lifespan:plain", env=env)
    scope = journal.next(key)
    assert scope["type"] == "lifespan"
    assert scope["asgi"]["version"] == "3.0"
    assert scope["asgi"]["spec_version"].startswith("2.")
    assert scope["state"] == {}
    assert journal.next(key) == {"type": "lifespan.startup"}
    assert server.client.get("/").text == "hello"
    assert journal.next(key) == "http"
    server.stop()
    assert journal.next(key) == {"type": "lifespan.shutdown"}


def test_each_call_gets_a_copy_of_the_state(serve, journal, key, env):
    server = serve("raw_lifespan:with_state", env=env)
    with Connection(server) as connection:
        for _ in range(2):
            connection.ask(get("/"))
    with server.websocket("/"):
        pass
    states = [journal.next(key) for _ in range(3)]
    assert [state["text"] for state in states] == ["set at start-up"] * 3
    assert not any("new" in state for state in states)
    assert [state["shared"] for state in states] == [[], ["http"], ["http", "http"]]
    server.stop()
    assert journal.next(key) == ["http", "http", "websocket"]


def test_no_request_is_served_before_the_start_and_shutdown_is_waited_for(serve, journal, key, env):
    server = serve("raw_lifespan:slow_to_start", env=env)
    assert server.client.get("/").text == "hello"
    server.stop()
    assert [journal.next(key) for _ in range(3)] == ["started", "request", "stopped"]


@pytest.mark.uvicorn_fails("waits for the start-up")
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)
def test_a_stop_during_the_start_up_cancels_it(servers, journal, key, env, flags):
    server = servers.start("raw_lifespan:never_starts", *flags, env=env)
    number = 2 if flags else 1
    assert [journal.next(key) for _ in range(number)] == ["starting"] * number
    server.signal()
    assert server.wait_until_ended() == 0
    assert [journal.next(key) for _ in range(number)] == ["cleaned up"] * number


@pytest.mark.parametrize(
    "target", ["unsupported", "asserts_http", "returns_at_once", "returns_after_startup"]
)
def test_an_application_may_have_no_lifespan(serve, target):
    server = serve(f"raw_lifespan:{target}")
    assert server.client.get("/").text == "hello"


def test_an_application_that_answers_the_lifespan_is_served(serve):
    server = serve("raw_lifespan:answers_without_reading")
    assert server.client.get("/").text == "hello"


def test_lifespan_off_runs_none(serve, journal, key, env):
    server = serve("raw_lifespan:plain", "--lifespan", "off", env=env)
    server.client.get("/")
    assert journal.next(key) == "http"


@pytest.mark.parametrize(
    ("target", "flags", "text"),
    [
        ("startup_fails", [], "no database at this address"),
        ("startup_fails_without_message", [], ""),
        ("startup_raises", ["--lifespan", "on"], "raised at start-up"),
        ("unsupported", ["--lifespan", "on"], ""),
    ],
)
def test_a_start_up_that_fails_ends_the_server_with_3(servers, target, flags, text):
    server = servers.start(f"raw_lifespan:{target}", *flags)
    server.expect_error("")
    assert server.wait_until_ended() == 3
    assert text in server.output


def test_an_exception_at_start_up_is_no_lifespan_by_default(serve):
    """ASGI has an exception for "no lifespan", and cannot tell it from a failure."""
    server = serve("raw_lifespan:startup_raises")
    server.expect_error("raised at start-up")
    assert server.client.get("/").text == "hello"


@pytest.mark.parametrize(
    ("target", "text"),
    [("shutdown_fails", "the pool is not empty"), ("shutdown_raises", "raised at shutdown")],
)
def test_a_shutdown_that_fails_is_told_and_ends_the_server(serve, target, text):
    server = serve(f"raw_lifespan:{target}", "--lifespan", "on")
    server.expect_error("")
    assert server.client.get("/").text == "hello"
    server.signal()
    assert server.wait_until_ended() in ((1,) if SERVER == "callgate" else (0, -signal.SIGTERM, 3))
    assert text in server.output


OF_FRAMEWORK = """
from contextlib import asynccontextmanager

from fastapi import FastAPI

@asynccontextmanager
async def starts(app):
    raise ValueError("no database")
    yield

@asynccontextmanager
async def shuts_down(app):
    yield
    raise ValueError("no database")

starts, shuts_down = FastAPI(lifespan=starts), FastAPI(lifespan=shuts_down)
"""


@pytest.mark.parametrize("target", ["starts", "shuts_down"])
def test_an_exception_in_the_lifespan_of_a_framework_is_shown_once(servers, tmp_path, target):
    """Frameworks send the traceback as the reason, and raise the exception then."""
    (tmp_path / "of_framework.py").write_text(OF_FRAMEWORK)
    server = servers.start(f"of_framework:{target}", cwd=tmp_path)
    server.expect_error("no database")
    server.expect_error("ERROR:    Application s", only="uvicorn")
    if target == "shuts_down":
        server.wait_until_it_accepts()
        assert server.client.get("/").status_code == 404
        server.signal()
    assert server.wait_until_ended() != 0
    assert server.output.count("Traceback (most") == 1, server.output
    assert server.output.count("ValueError: no database") == 1


REASON = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the reason"})
        raise ValueError("the exception")
"""


@pytest.mark.uvicorn_fails("shows the reason only")
def test_an_exception_after_the_reason_is_shown_too(servers, tmp_path):
    (tmp_path / "reason.py").write_text(REASON)
    server = servers.start("reason:app", cwd=tmp_path)
    server.expect_error("the exception")
    assert server.wait_until_ended() == 3
    assert "the reason" in server.output
    assert "ValueError: the exception" in server.output


def test_a_task_of_the_lifespan_works_beside_the_requests(serve, journal, key, env):
    server = serve("raw_lifespan:task_in_lifespan", env=env)
    assert server.client.get("/").text == "hello"
    server.stop()
    assert journal.next(key) is True


# SIGTERM, and the work that is going on.


def wait_until_stopped(server, number=signal.SIGTERM):
    """Waits for the end of a server that was told to stop. uvicorn ends by the signal itself."""
    assert server.wait_until_ended() in (0, -number), server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_a_request_that_is_going_on_is_answered(serve, journal, key, env, number):
    server = serve("raw_shutdown:app", env=env)
    with Connection(server) as connection:
        connection.send(get("/answers_in_a_moment"))
        assert journal.next(key) == "called"
        server.signal(number)
        response = connection.read_response()
        assert response.body == b"answered"
        assert connection.read_to_end() == b""
    wait_until_stopped(server, number)
    assert journal.next(key) == "shutdown"


def test_content_that_is_going_on_is_received(serve, journal, key, env):
    server = serve("raw_shutdown:app", env=env)
    with Connection(server) as connection:
        connection.send(get("/echo", "Content-Length: 10", method="POST") + b"01234")
        assert journal.next(key) == b"01234"
        server.signal()
        connection.send(b"56789")
        assert connection.read_response().body == b"0123456789"
    wait_until_stopped(server)


def test_an_idle_connection_does_not_hold_the_server(serve):
    server = serve("raw_shutdown:app")
    with Connection(server) as connection:
        connection.ask(get("/now"))
        server.signal()
        assert connection.read_to_end() == b""
        wait_until_stopped(server)


def test_a_connection_without_a_request_does_not_hold_the_server(serve):
    server = serve("raw_shutdown:app")
    with Connection(server) as connection:
        # Another answer shows that the connection has been accepted before.
        assert server.client.get("/now").text == "now"
        server.signal()
        assert connection.read_to_end() == b""
        wait_until_stopped(server)


def test_streams_end_after_the_grace_period_and_the_lifespan_shuts_down(serve, journal, key, env):
    server = serve("raw_shutdown:app", "--timeout-graceful-shutdown", "1", env=env)
    server.expect_error("timeout graceful shutdown", only="uvicorn")
    with Connection(server) as connection:
        connection.send(get("/streams"))
        assert journal.next(key) == "called"
        assert connection.read_head().status == 200
        server.signal()
        octets = connection.read_to_end()
        # The stream is cut: it does not look whole.
        assert not octets.endswith(b"0\r\n\r\n")
        wait_until_stopped(server)
    assert journal.next(key) in ("CancelledError", "GeneratorExit")
    assert journal.next(key) == "shutdown"


@pytest.mark.uvicorn_fails("ASGI does not have the event")
def test_a_stream_ends_when_the_server_shuts_down(serve, journal, key, env):
    server = serve("raw_shutdown:app", "--http-shutdown", env=env)
    with Connection(server) as connection:
        connection.send(get("/ends_its_stream"))
        assert journal.next(key) is True
        assert connection.read_head().status == 200
        server.signal()
        assert journal.next(key) == {"type": "http.shutdown"}
        assert connection.read_to_end().endswith(b"ended\r\n0\r\n\r\n")
    wait_until_stopped(server)


@pytest.mark.parametrize("flags", [[], ["--http-shutdown", "--no-http-shutdown"]], ids=str)
def test_without_the_flag_a_stream_has_no_event_that_asgi_does_not_have(
    serve, journal, key, env, flags
):
    if flags and SERVER != "callgate":
        pytest.skip("the flag is that of callgate")
    server = serve("raw_shutdown:app", "--timeout-graceful-shutdown", "1", *flags, env=env)
    server.expect_error("timeout graceful shutdown", only="uvicorn")
    with Connection(server) as connection:
        connection.send(get("/ends_its_stream"))
        assert journal.next(key) is False
        assert connection.read_head().status == 200
        server.signal()
        # Neither the event nor the end comes before the server gives the call up.
        assert not connection.read_to_end().endswith(b"0\r\n\r\n")
    wait_until_stopped(server)


def test_background_work_is_waited_for(serve, journal, key, env):
    server = serve("raw_shutdown:app", env=env)
    assert server.client.get("/works_on_after_its_answer").text == "now"
    server.signal()
    wait_until_stopped(server)
    assert [journal.next(key) for _ in range(2)] == ["work done", "shutdown"]


def test_a_websocket_that_waits_in_receive_is_told(serve, journal, key, env):
    server = serve("raw_shutdown:app", "--timeout-graceful-shutdown", "5", env=env)
    with server.websocket("/websocket"):
        assert journal.next(key) == "called"
        server.signal()
        assert journal.next(key) == {"type": "websocket.disconnect", "code": 1012, "reason": ""}
        wait_until_stopped(server)
    assert journal.next(key) == "shutdown"


def test_a_websocket_that_cleans_up_after_its_client_is_waited_for(serve, journal, key, env):
    server = serve("raw_shutdown:app", env=env)
    with server.websocket("/websocket_that_cleans_up"):
        pass
    assert journal.next(key) == "disconnected"
    server.signal()
    wait_until_stopped(server)
    assert [journal.next(key) for _ in range(2)] == ["cleaned up", "shutdown"]


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn takes no second SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)
@pytest.mark.parametrize("path", ["/streams", "/cleans_up_for_long"])
def test_a_second_signal_stops_at_once(serve, journal, key, env, number, flags, path):
    # No test waits as long.
    server = serve("raw_shutdown:app", "--timeout-graceful-shutdown", "3600", *flags, env=env)
    server.wait_for_output("Callgate running on", times=2 if flags else 1)
    with Connection(server) as connection:
        connection.send(get(path))
        assert journal.next(key) == "called"
        server.signal(number)
        server.wait_for_output("is stopping")
        server.signal(number)
        assert not connection.read_to_end().endswith(b"0\r\n\r\n")
        # A process that is held up gives its application no time to end.
        assert server.wait_until_ended() in (0, 1), server.output
    told = [journal.next(key) for _ in range(3 if flags else 2)]
    # The other worker has no call.
    assert told.count("CancelledError") == 1
    assert told.count("shutdown") == len(told) - 1


HOLDS_ON = """
import asyncio

from journal import tell
from raw_http import stops_in_lifespan

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await stops_in_lifespan(scope, receive, send)
    tell(scope, "called")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        tell(scope, "CancelledError")
        raise
"""


@pytest.mark.skipif(SERVER != "callgate", reason="the time-out is that of callgate")
def test_a_handler_whose_client_is_gone_is_cancelled_after_a_time(serve, tmp_path, journal, key):
    (tmp_path / "holds_on.py").write_text(HOLDS_ON)
    env = {"PYTHONPATH": str(APPS)}
    server = serve("holds_on:app", "--timeout-disconnect", "0.1", cwd=tmp_path, env=env)
    with Connection(server) as connection:
        connection.send(get(f"/?{key}"))
        assert journal.next(key) == "called"
    assert journal.next(key) == "CancelledError"
