"""What an application does with the event loop: tasks, contexts, threads, time-outs, cancellation, subprocesses."""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from wire import Connection, get, post

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module", params=["", "debug"], ids=["plain", "debug"])
def server(request, serve_for_module):
    env = {"PYTHONASYNCIODEBUG": "1"} if request.param else {}
    return serve_for_module("raw_asyncio:app", env=env)


@pytest.fixture
def connection(server):
    with Connection(server) as connection:
        yield connection


def text(server, path, content=b""):
    response = server.client.post(path, content=content)
    assert response.status_code == 200, server.output
    return response.text


def test_the_application_runs_in_one_task(server):
    assert text(server, "/current_task") == ""


def test_the_loop_is_the_one_that_was_asked_for(server, loop):
    module = text(server, "/running_loop")
    assert module.startswith({"uvloop": "uvloop", "asyncio": "asyncio."}[loop])


def test_sniffio_finds_asyncio(server):
    assert text(server, "/library") == "asyncio"


def test_a_context_lasts_for_a_call_and_no_longer(server, connection):
    for _ in range(3):
        assert connection.ask(get("/context_of_a_request?a")).body == b"not set"


@pytest.mark.uvicorn_fails("begins a pipelined request in the context of the request before it")
def test_a_pipelined_request_has_a_context_of_its_own(server, connection):
    connection.send(get("/context_of_a_request?a") * 3)
    assert [connection.read_response().body for _ in range(3)] == [b"not set"] * 3


def test_children_and_threads_inherit_the_context(server):
    assert text(server, "/context_of_children") == "parent parent"


def test_receive_and_send_are_coroutine_functions(server):
    assert text(server, "/kinds_of_calls") == "done"


def test_calls_of_receive_and_send_can_be_tasks(server):
    assert text(server, "/tasks_of_calls") == "one two three four five six seven eight"


def test_a_call_does_nothing_until_it_is_awaited(server):
    assert text(server, "/call_without_await", b"content") == "done"


@pytest.mark.parametrize(
    "path", ["/calls_from_a_thread", "/calls_from_an_anyio_thread", "/calls_from_another_task"]
)
def test_receive_and_send_from_elsewhere(server, path):
    assert text(server, path, b"content") == "content"


def test_receive_after_the_return_tells_the_disconnect(server, journal, key):
    assert text(server, f"/calls_after_the_return?{key}") == "done"
    assert [journal.next(key) for _ in range(2)] == ["http.disconnect"] * 2


def test_a_send_after_the_return_does_not_disturb_the_server(server, connection, journal, key):
    server.expect_error_at("/sends_after_the_return")
    connection.send(get(f"/sends_after_the_return?{key}", "Connection: close"))
    connection.read_to_end()
    journal.next(key)
    assert text(server, "/library") == "asyncio"


def test_concurrent_sends_are_not_mixed(server):
    octets = server.client.get("/concurrent_sends").content
    parts = [octets[number : number + 300] for number in range(0, len(octets), 300)]
    assert sorted(parts) == [b"%03d" % number * 100 for number in range(100)]


def test_each_receive_that_waits_learns_of_the_disconnect(server, connection, journal, key):
    connection.send(get(f"/concurrent_receives?{key}"))
    connection.socket.close()
    assert journal.next(key) == ["http.disconnect"] * 2


def test_a_receive_that_is_given_up_loses_no_event(server, connection, journal, key):
    connection.send(get(f"/timeouts_lose_no_event?{key}", "Content-Length: 10", method="POST"))
    assert journal.next(key) == "waits"
    for digit in b"0123456789":
        connection.send(bytes([digit]))
        # Something between two digits that takes the server more than one time-out.
        server.client.get("/timers")
    assert journal.next(key) is True
    assert connection.read_response().body == b"0123456789"


def test_every_kind_of_timeout(server):
    caught = "asyncio.timeout anyio.move_on_after anyio.fail_after asyncio.wait_for"
    assert text(server, "/every_kind_of_timeout") == caught


def test_a_cancellation_brings_its_message(server):
    assert text(server, "/message_of_a_cancellation") == "('the message',)"


def test_a_call_may_survive_its_cancellation(server):
    assert text(server, "/cancellation_of_the_call_itself") == "('from outside',)"


def test_a_task_of_receive_may_be_cancelled_before_it_begins(server):
    assert text(server, "/cancelled_before_the_first_step", b"content") == "content"


def test_a_cancel_scope_ends_what_receives(server, journal, key):
    assert text(server, f"/cancel_scope_in_a_task_group?{key}") == "partpartpart"
    assert journal.next(key) == "left the group"


def test_a_send_may_be_given_up(server, connection, journal, key):
    connection.send(get(f"/cancelled_send?{key}"))
    assert journal.next(key) == "timeout"
    connection.socket.close()
    assert journal.next(key) == "disconnected"


def test_subprocesses(server):
    assert text(server, "/subprocesses", b"hello") == "hello!"
    assert text(server, "/shell") == "7"


def test_executors(server):
    assert text(server, "/executors") == "1024"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/streams", "LINE"),
        ("/timers", "soon threadsafe at later"),
        ("/sleeps_of_zero", "done"),
        ("/signals", "from the queue"),
        ("/exception_group", "in a group"),
    ],
)
def test_the_loop_is_whole(server, path, expected):
    assert text(server, path) == expected


def test_one_call_wakes_another(server):
    with ThreadPoolExecutor(2) as threads:
        answers = threads.map(lambda _: text(server, "/wakes_another_call"), range(2))
        assert list(answers) == ["met", "met"]


def test_requests_see_the_context_of_the_lifespan_or_a_new_one(server):
    """ASGI says nothing here; what one request sees, all see."""
    assert {text(server, "/shows_lifespan_context") for _ in range(3)} in ({"set"}, {"not set"})


def test_many_calls_at_once(server):
    with ThreadPoolExecutor(16) as threads:
        answers = threads.map(lambda _: text(server, "/sleeps_of_zero"), range(64))
        assert set(answers) == {"done"}


def test_content_and_answers_while_the_loop_is_busy(server, connection):
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(text, server, "/sleeps_of_zero")
        for _ in range(20):
            response = connection.ask(
                post("/subprocesses" if _ == 0 else "/calls_from_another_task", b"x")
            )
            assert response.body in (b"x", b"x!")
        assert busy.result() == "done"


# The first step of a call.


@pytest.mark.uvicorn_fails("has the loop begin each call")
def test_a_call_that_does_not_wait_does_not_go_through_the_queue_of_the_loop(serve, journal, key):
    server = serve("first_step:counted")
    with Connection(server) as connection:
        counts = []
        for path in ["/"] * 5 + ["/waits", "/"]:
            connection.ask(get(f"{path}?{key}"))
            counts.append(journal.next(key))
    # The call that waits goes on by the queue, and so comes its end.
    assert counts == [0, 0, 0, 0, 0, 1, 2]


@pytest.mark.uvicorn_fails("asyncio has no call begin inside of another one")
def test_a_call_may_begin_while_another_one_runs_the_loop(servers, journal, key):
    # uvloop has no way to run a loop inside of itself.
    servers.loop = "asyncio"
    server = servers.serve("first_step:nested")
    with Connection(server) as outer, Connection(server) as inner:
        outer.send(get(f"/outer?{key}"))
        assert journal.next(key) == "begun"
        assert inner.ask(get("/")).body == b"hello"
        assert outer.read_response().body == b"hello"


def test_a_response_does_not_wait_for_the_calls_behind_it(serve, tmp_path, journal, key):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path_of_app = str(tmp_path / "socket")
    server = serve("one_turn:app", env={"CALLGATE_TEST_SOCKET": path_of_app})
    with contextlib.ExitStack() as stack:
        first, *others, last = (stack.enter_context(Connection(server)) for _ in range(6))
        # A connection that the server has not accepted yet would be read before the others.
        for connection in (first, *others, last):
            assert connection.ask(get("/")).status == 200
        first.send(get(f"/waits?{key}"))
        assert journal.next(key) == "waits"
        # Meanwhile the event loop is held up: it finds all these in its next turn. The long one ends a part of the turn.
        for connection, path in zip(others, ("/", "/", "/", "/long")):
            connection.send(get(path))
        last.send(get(f"/waits?{key}"))
        client.sendto(b"g", path_of_app)
        for connection in (first, *others):
            assert connection.read_response().status == 200
        # Only now does the last call end.
        client.sendto(b"g", path_of_app)
        assert last.read_response().status == 200
