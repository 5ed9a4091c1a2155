"""What the log has of an exception of the application: one record, with the request and with the exception."""

import json

import h2.events
import pytest

from conftest import SERVER
from wire import Closed, Connection, Http2, WebSocket, get, handshake

pytestmark = [
    pytest.mark.every_loop,
    pytest.mark.uvicorn_fails("its record does not name the request"),
]


class Records:
    """A server whose records the test reads, up to the end of the server."""

    def __init__(self, serve, journal, key, tmp_path, target, *flags):
        loggers = {"handlers": ["telling"], "level": "INFO", "propagate": False}
        config = {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"telling": {"()": "raises.Telling"}},
            "loggers": {f"{SERVER}.error": loggers, "": loggers},
        }
        file = tmp_path / "log.json"
        file.write_text(json.dumps(config))
        flags = ["--log-config", str(file), *flags]
        self.server = serve(f"raises:{target}", *flags, env={"CALLGATE_TEST_KEY": key})
        self.journal = journal
        self.key = key

    def errors(self):
        """Stops the server, and returns all records of warnings and errors."""
        self.server.signal()
        return self.errors_to_the_end()

    def errors_to_the_end(self):
        records = []
        while not (records and records[-1]["text"] == "Callgate has stopped"):
            fact = self.journal.next(self.key)
            if isinstance(fact, dict):
                records.append(fact)
        self.server.wait_until_ended()
        return [record for record in records if record["level"] not in ("INFO", "DEBUG")]

    def only_error(self):
        [record] = self.errors()
        assert (record["logger"], record["level"]) == (f"{SERVER}.error", "ERROR")
        # The traceback begins in the application.
        assert not any(file in ("_loop.py", "_server.py") for file in record["files"])
        return record


@pytest.fixture
def records(serve, journal, key, tmp_path):
    return lambda *arguments: Records(serve, journal, key, tmp_path, *arguments)


@pytest.mark.parametrize(
    ("path", "text", "exception"),
    [
        ("at_once", "Custom: raised at once", "Custom('raised at once')"),
        ("after_a_wait", r"Custom: raised\nafter a wait", r"Custom('raised\nafter a wait')"),
        ("an_awaitable", "Custom: raised by an awaitable", "Custom('raised by an awaitable')"),
        (
            "a_group",
            "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)",
            "ExceptionGroup('unhandled errors in a TaskGroup', [Custom('raised at once')])",
        ),
    ],
)
def test_an_exception_has_one_record_with_the_request(records, path, text, exception):
    records = records("raw")
    with Connection(records.server) as connection:
        assert connection.ask(get(f"/{path}?a=1")).status == 500
    record = records.only_error()
    assert record["text"] == f"GET /{path}?a=1 HTTP/1.1: {text}"
    assert record["exception"] == exception
    assert record["files"][0] == "raises.py"


def test_an_exception_after_the_start_has_one_record(records):
    records = records("raw")
    with Connection(records.server) as connection:
        connection.send(get("/after_the_start"))
        with pytest.raises(Closed):
            connection.read_response()
    record = records.only_error()
    assert record["text"].startswith("GET /after_the_start HTTP/1.1: Custom: raised after")
    assert record["exception"] == "Custom('raised after the start')"


def test_an_exception_after_the_end_has_one_record(records):
    records = records("raw")
    with Connection(records.server) as connection:
        assert connection.ask(get("/after_the_end")).body == b"hello"
    assert records.only_error()["exception"] == "Custom('raised after the end')"


def test_an_exception_over_http2_has_one_record(records):
    records = records("raw")
    with Http2(records.server) as connection:
        assert connection.ask("/after_a_wait").status == 500
        stream = connection.begin("/after_the_start")
        connection.wait_for(h2.events.StreamReset, stream)
    first, second = records.errors()
    assert first["text"].startswith("GET /after_a_wait HTTP/2.0: Custom: raised")
    assert first["exception"] == "Custom('raised\\nafter a wait')"
    assert second["exception"] == "Custom('raised after the start')"


@pytest.mark.parametrize(
    ("path", "exception"),
    [
        ("/raises_at_once", "RuntimeError('raised before the handshake')"),
        ("/raises_after_accept", "RuntimeError('raised after the handshake')"),
    ],
)
def test_an_exception_of_a_websocket_has_one_record(records, path, exception):
    records = records("raw")
    if "accept" in path:
        with WebSocket(records.server, path) as websocket:
            assert websocket.read_close() == 1011
    else:
        with Connection(records.server) as connection:
            assert connection.ask(handshake(path)).status == 500
    record = records.only_error()
    assert record["text"].startswith(f"WEBSOCKET {path} HTTP/1.1: RuntimeError: raised")
    assert record["exception"] == exception


@pytest.mark.parametrize("target", ["starlette", "debugging", "behind_middleware"])
def test_an_exception_through_starlette_has_one_record(records, target):
    records = records(target)
    with Connection(records.server) as connection:
        response = connection.ask(get("/handler", "Connection: close"))
        assert response.status == 500
        assert (b"raises.py" in response.body) == (target == "debugging")
    record = records.only_error()
    assert record["text"] == "GET /handler HTTP/1.1: Custom: raised by a handler"
    assert record["exception"] == "Custom('raised by a handler')"
    assert record["files"][-1] == "raises.py"


def test_an_exception_of_a_websocket_of_starlette_has_one_record(records):
    records = records("behind_middleware")
    with WebSocket(records.server, "/websocket") as websocket:
        assert websocket.read_close() == 1011
    assert records.only_error()["exception"] == "Custom('raised in a WebSocket')"


@pytest.mark.parametrize("flags", [["--lint"], ["--inspect"]])
def test_an_exception_behind_a_tool_has_one_record(records, flags):
    records = records("raw", *flags)
    with Connection(records.server) as connection:
        assert connection.ask(get("/at_once")).status == 500
    assert records.only_error()["exception"] == "Custom('raised at once')"


def test_a_rule_that_is_broken_is_in_the_record_of_its_exception(records):
    records = records("raw")
    with Connection(records.server) as connection:
        assert connection.ask(get("/breaks_a_rule")).status == 500
    record = records.only_error()
    assert "rule=" in record["text"]
    assert record["exception"].startswith("RuntimeError(")
    assert record["files"][0] == "raises.py"


def test_a_call_that_was_given_up_has_a_record_of_its_exception(records):
    """No line of the server is about the end of such a call."""
    records = records("raw", "--timeout-graceful-shutdown", "1")
    with Connection(records.server) as connection:
        connection.send(get("/while_it_is_cancelled"))
        while records.journal.next(records.key) != "called":
            pass
        records.server.signal()
        connection.read_to_end()
    errors = records.errors_to_the_end()
    [record] = [record for record in errors if record["exception"] != "None"]
    assert record["text"] == "exception in the application"
    assert record["exception"] == "Custom('raised while it is cancelled')"


def test_a_record_without_an_exception_has_none(records):
    records = records("starlette", "--access-log")
    with Connection(records.server) as connection:
        assert connection.ask(get("/handler")).status == 500
        assert connection.ask(get("/hello")).body == b"hello"
    records.server.signal()
    seen = {}
    while "Callgate has stopped" not in seen:
        fact = records.journal.next(records.key)
        seen[fact["text"]] = fact["exception"]
    records.server.wait_until_ended()
    assert [text for text, exception in seen.items() if exception != "None"] == [
        "GET /handler HTTP/1.1: Custom: raised by a handler"
    ]
