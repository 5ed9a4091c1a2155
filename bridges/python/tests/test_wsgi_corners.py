"""The corners of PEP 3333: content, threads, responses, files, and clients that are slow or go away."""

import ast
import contextlib
import io
import json
import select
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import SERVER
from websockets.exceptions import InvalidStatus

from wire import Closed, Connection, Http2, get, post

pytestmark = pytest.mark.skipif(SERVER != "callgate", reason="uvicorn runs WSGI in another way")


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("wsgi_corners:app", "--interface", "wsgi")


@pytest.fixture(scope="module")
def narrow(serve_for_module):
    """A server with one thread for the application."""
    return serve_for_module("wsgi_corners:app", "--interface", "wsgi", "--wsgi-threads", "1")


@pytest.fixture
def client(server):
    return server.client


def environ(server, target, *fields, **options):
    with Connection(server) as connection:
        return json.loads(connection.ask(get(target, *fields, **options)).body)


# The environment.


def test_an_application_that_the_validator_wraps(server):
    for octets in (get("/valid?a=b"), post("/valid", b"content"), get("/valid", method="HEAD")):
        with Connection(server) as connection:
            is_head = octets.startswith(b"HEAD")
            assert connection.ask(octets, head_only=is_head).status == 200


def test_the_same_path_below_another_root_is_another_one(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--forwarded-allow-ips", "*")
    with Connection(server) as connection:

        def ask(path, *fields):
            shown = json.loads(connection.ask(get(path, *fields)).body)
            return shown["SCRIPT_NAME"], shown["PATH_INFO"]

        assert ask("/b/c", "X-Forwarded-Prefix: /a") == ("/a", "/b/c")
        assert ask("/a/b/c") == ("", "/a/b/c")
        assert ask("/b/c", "X-Forwarded-Prefix: /a") == ("/a", "/b/c")


def test_the_root_path_is_the_name_of_the_script(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--root-path", "/below")
    for target, path in (("/environ", "/environ"), ("/", "/"), ("/%C3%A9", "/Ã©")):
        shown = environ(server, target)
        assert (shown["SCRIPT_NAME"], shown["PATH_INFO"]) == ("/below", path)


def test_a_root_path_outside_of_ascii_is_utf_8_as_a_path_is(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--root-path", "/é")
    assert environ(server, "/environ")["SCRIPT_NAME"] == "/Ã©"


def test_octets_that_are_no_utf_8_stay_in_the_path(server):
    assert environ(server, "/%FF%2F")["PATH_INFO"] == "/\xff/"


def test_a_field_with_an_underscore_does_not_pass_for_another(server):
    assert "HTTP_X_USER" not in environ(server, "/environ", "X_User: root")
    assert environ(server, "/environ", "X_User: root", "X-User: me")["HTTP_X_USER"] == "me"


def test_cookies_in_several_fields_stay_cookies(server):
    with Http2(server) as connection:
        response = connection.ask("/environ", ("cookie", "a=1"), ("cookie", "b=2"))
    shown = json.loads(response.body)
    assert shown["HTTP_COOKIE"] == "a=1; b=2"
    assert shown["SERVER_PROTOCOL"] == "HTTP/2"
    shown = environ(server, "/environ", "Cookie: a=1", "Cookie: b=2")
    assert shown["HTTP_COOKIE"] == "a=1; b=2"


def test_many_names_of_fields_are_those_of_their_request(server):
    for number in range(300):
        shown = environ(server, "/environ", f"X-Number-{number}: {number}")
        assert {name: value for name, value in shown.items() if "NUMBER" in name} == {
            f"HTTP_X_NUMBER_{number}": str(number)
        }


@pytest.mark.parametrize(
    ("flags", "several"),
    [
        (["--wsgi-threads", "1"], (False, False)),
        (["--wsgi-threads", "3", "--workers", "2"], (True, True)),
    ],
)
def test_an_application_knows_of_other_threads_and_processes(serve, flags, several):
    server = serve("wsgi_corners:app", "--interface", "wsgi", *flags)
    shown = environ(server, "/environ")
    assert (shown["wsgi.multithread"], shown["wsgi.multiprocess"]) == several


def test_errors_are_written_to_the_output(server):
    server.client.get("/errors?here")
    server.wait_for_output("noted here\n")


# Content.

CALLS = [
    [["read"]],
    [["read", -1], ["read"]],
    [["read", None], ["readline"]],
    [["read", 0], ["read", 3], ["read", 100], ["read", 1]],
    [["readline"], ["readline", 2], ["readline", -1], ["readline", 0], ["read"]],
    [["readlines"], ["readlines"]],
    [["readlines", 1], ["readlines", 5], ["readlines", 0]],
    [["iterate"], ["read"]],
    [["readline"], ["iterate"]],
]


@pytest.mark.parametrize("content", [b"", b"one", b"one\ntwo\n\nthree", b"\n\n"])
@pytest.mark.parametrize("calls", CALLS, ids=repr)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_content_is_read_as_a_file_is(server, calls, content, is_chunked):
    file = io.BytesIO(content)
    expected = []
    for name, *arguments in calls:
        expected.append(list(file) if name == "iterate" else getattr(file, name)(*arguments))
    fields = [f"X-Calls: {json.dumps(calls)}"]
    if is_chunked:
        octets = get("/reads", "Transfer-Encoding: chunked", *fields, method="POST")
        octets += b"".join(b"1\r\n%c\r\n" % octet for octet in content) + b"0\r\n\r\n"
    else:
        octets = post("/reads", content, *fields)
    with Connection(server) as connection:
        assert ast.literal_eval(connection.ask(octets).body.decode()) == expected


def test_a_client_waits_until_the_application_wants_content(server):
    fields = ["Expect: 100-continue", "Content-Length: 2", 'X-Calls: [["read"]]']
    with Connection(server) as connection:
        connection.send(get("/reads", *fields, method="POST"))
        assert connection.read_head().status == 100
        connection.send(b"ok")
        assert connection.read_response().body == b"[b'ok']"
        refused = connection.ask(get("/tells?x", *fields[:2], method="POST"))
        assert refused.status == 200


def test_a_slow_upload_takes_no_thread(narrow):
    octets = post("/reads", b"slow", 'X-Calls: [["read"]]')
    with Connection(narrow) as slow:
        slow.send(octets[:-1])
        assert narrow.client.get("/listed").text == "one two"
        slow.send(octets[-1:])
        assert slow.read_response().body == b"[b'slow']"


def test_a_large_upload_waits_for_the_application(server, journal, key, tmp_path):
    size = 64 << 20
    release = tmp_path / "release"
    with Connection(server) as connection:
        target = f"/reads_one_octet?{key}&{release}"
        connection.send(get(target, f"Content-Length: {size}", method="POST"))
        connection.socket.setblocking(False)
        sent = 0
        while sent < size and select.select([], [connection.socket], [], 0.3)[1]:
            sent += connection.socket.send(b"x" * min(2**20, size - sent))
        assert journal.next(key) == "has read"
        assert sent < size / 2
        release.touch()
        connection.socket.settimeout(5)
        connection.send(b"x" * (size - sent))
        assert connection.read_response().body == str(size).encode()


def test_a_read_fails_when_the_client_is_gone(server, journal, key):
    with Connection(server) as connection:
        connection.send(get(f"/reads_too_early?{key}", "Content-Length: 70000", method="POST"))
        assert journal.next(key) == "called"
        connection.reset()
    assert journal.next(key) is True


# Threads.


def test_a_thread_keeps_its_locals_and_a_call_has_its_context(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--wsgi-threads", "1")
    for number in (1, 2, 3):
        assert server.client.get("/counts").text == f"{number} 0 callgate-wsgi-0 True"


def test_little_work_stays_in_few_threads(server):
    # A thread may still end a call when the next request comes. Each of the ten threads in turn would be ten names.
    names = {server.client.get("/counts").text.split()[2] for _ in range(20)}
    assert len(names) <= 5


def test_requests_are_served_without_a_lifespan(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--lifespan", "off")
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: server.client.get("/listed").text, range(200)))
    assert answers == ["one two"] * 200


def test_no_more_calls_than_threads_run_at_once(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--wsgi-threads", "2")
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: server.client.get("/meets").text, range(20)))
    assert set(answers) == {"2"}


def wait_until_it_has_seen_all(server):
    """Waits until a server has seen what came before: by an answer without the application."""
    with Connection(server) as connection:
        assert connection.ask(get("/%zz")).status == 400


def test_a_request_in_the_queue_is_dropped_when_its_client_goes(narrow, journal, tmp_path):
    release = tmp_path / "release"
    held, dropped, kept = journal.key(), journal.key(), journal.key()
    with Connection(narrow) as first, Connection(narrow) as second:
        first.send(get(f"/holds?{held}&{release}"))
        assert journal.next(held) == "called"
        second.send(get(f"/tells?{dropped}"))
        wait_until_it_has_seen_all(narrow)
        second.reset()
        wait_until_it_has_seen_all(narrow)
        with Connection(narrow) as last:
            last.send(get(f"/tells?{kept}"))
            release.touch()
            assert first.read_response().body == b"held"
            assert last.read_response().body == b"told"
    assert journal.next(kept) == "called"
    assert not journal.heard(dropped)


# Responses.


def test_responses_do_not_wait_for_the_calls_behind_them(narrow, journal, tmp_path):
    first_key, last_key = journal.key(), journal.key()
    first_release, last_release = tmp_path / "first", tmp_path / "last"
    with contextlib.ExitStack() as stack:
        first, last, *between = [stack.enter_context(Connection(narrow)) for _ in range(32)]
        first.send(get(f"/holds?{first_key}&{first_release}"))
        assert journal.next(first_key) == "called"
        for connection in between:
            connection.send(get("/listed"))
        wait_until_it_has_seen_all(narrow)
        last.send(get(f"/holds?{last_key}&{last_release}"))
        wait_until_it_has_seen_all(narrow)
        first_release.touch()
        assert journal.next(last_key) == "called"
        assert first.read_response().body == b"held"
        for connection in between:
            assert connection.read_response().body == b"one two"
        last_release.touch()
        assert last.read_response().body == b"held"


def test_the_length_of_a_list_is_known(server):
    with Connection(server) as connection:
        response = connection.ask(get("/listed"))
        assert (response.body, response.get(b"content-length")) == (b"one two", [b"7"])
        head = connection.ask(get("/listed", method="HEAD"), head_only=True)
        assert (head.status, head.get(b"content-length")) == (200, [b"7"])


def test_a_large_list_frees_its_thread_while_the_client_is_slow(narrow):
    with Connection(narrow) as slow:
        slow.send(get("/large_list"))
        assert narrow.client.get("/listed").text == "one two"
        assert len(slow.read_response().body) == 20 << 20


def test_parts_wait_for_a_slow_client_and_end_with_it(server, journal, key):
    with Connection(server) as connection:
        connection.send(get(f"/endless?{key}"))
        assert connection.read_head().status == 200
        connection.reset()
    # All of them would be 128 MB.
    assert journal.next(key) < 1000


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("short", "the content is 5 octets shorter than its content-length"),
        ("long", "the content is longer than its content-length"),
        ("not_started", "content before it has called start_response"),
        ("never_started", "has not called start_response"),
        ("starts_twice", "start_response was called before"),
        ("text", "a part of the content is not bytes but str"),
        ("bad_status", 'the status is "OK"'),
        ("bad_field", "the value of `x-split` is not permitted by HTTP"),
        ("exits", "SystemExit: 3"),
    ],
)
def test_a_fault_before_the_content_is_a_500(server, path, error):
    server.expect_error(error)
    with Connection(server) as connection:
        assert connection.ask(get(f"/{path}")).status == 500
        assert connection.ask(get("/listed")).body == b"one two"
    server.wait_for_output(error)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("short_in_parts", "the content is 5 octets shorter than its content-length"),
        ("starts_after_content", "ValueError: after content"),
    ],
)
def test_a_fault_after_content_cuts_the_response(server, path, error):
    server.expect_error(error)
    with Connection(server) as connection:
        connection.send(get(f"/{path}"))
        with pytest.raises(Closed):
            connection.read_response()
    server.wait_for_output(error)


def test_the_log_has_the_frames_of_the_application_and_no_other(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi")
    server.expect_error("the status is")
    server.client.get("/bad_status")
    server.wait_for_output("\nValueError: the status is")
    assert "ERROR GET /bad_status HTTP/1.1: ValueError: the status is" in server.output
    assert "exception in the application" not in server.output
    # The application, and what it calls.
    assert server.output.count('  File "') == 2
    assert ", in bad_status\n" in server.output


def test_an_application_goes_on_after_its_content_is_complete(server, journal, key):
    with Connection(server) as connection:
        assert connection.ask(get(f"/works_after_the_length?{key}")).body == b"hello"
    assert journal.next(key) == "after"


def test_content_beyond_the_length_is_an_error_and_not_sent(server, journal, key):
    server.expect_error("the content is longer than its content-length")
    with Connection(server) as connection:
        assert connection.ask(get(f"/long_in_parts?{key}")).body == b"hello"
        assert connection.ask(get("/listed")).body == b"one two"
    assert journal.next(key) == "closed"
    server.wait_for_output("the content is longer than its content-length")


def test_statuses_without_content(server):
    with Connection(server) as connection:
        assert connection.ask(get("/no_content")).status == 204
        response = connection.ask(get("/not_modified"))
        assert (response.status, response.get(b"etag")) == (304, [b'"1"'])
        assert connection.ask(get("/listed")).body == b"one two"


def test_the_content_of_a_head_request_is_not_made(server, journal, key):
    with Connection(server) as connection:
        head = connection.ask(get(f"/head_in_parts?{key}", method="HEAD"), head_only=True)
        assert head.status == 200
        assert connection.ask(get("/listed")).body == b"one two"
    assert journal.next(key) == 1


def test_fields_of_the_connection_are_those_of_the_server(server):
    with Connection(server) as connection:
        for _ in range(2):
            response = connection.ask(get("/hop_by_hop"))
            assert response.get(b"connection") == []
            assert response.get(b"x-kept") == [b"1"]


def test_an_exception_of_close_is_logged(server):
    server.expect_error("raised by close")
    assert server.client.get("/fails_at_close").text == "whole"
    server.wait_for_output("ValueError: raised by close")


def test_a_websocket_is_refused(server):
    with pytest.raises(InvalidStatus) as refused:
        server.websocket("/listed")
    assert refused.value.response.status_code == 403


def test_a_value_keeps_its_octets(server):
    with Connection(server) as connection:
        [value] = connection.ask(get("/utf_8")).get(b"x-title")
    assert value.decode() == "voilà"


# Files.


def test_the_content_of_a_compressed_file_is_sent(server):
    with Connection(server) as connection:
        assert connection.ask(get("/compressed_file")).body == b"f" * 1000


@pytest.mark.parametrize(
    ("path", "size", "reads"),
    [
        ("file", 100_000, 0),
        ("file_with_length", 100_000, 0),
        ("empty_file", 0, 1),
        ("rest_of_a_file", 1000, 2),
        ("file_in_memory", 100_000, 101),
    ],
)
def test_a_file_is_sent_by_the_system_if_it_is_a_whole_file(
    server, journal, key, path, size, reads
):
    with Connection(server) as connection:
        assert connection.ask(get(f"/{path}?{key}")).body == b"f" * size
        assert journal.next(key) == reads
        assert connection.ask(get("/listed")).body == b"one two"


def test_the_head_of_a_file(server, journal, key):
    with Connection(server) as connection:
        head = connection.ask(get(f"/file_with_length?{key}", method="HEAD"), head_only=True)
        assert head.get(b"content-length") == [b"100000"]
    assert journal.next(key) == 1


# The end of a server, and its log.


def test_what_a_call_does_after_its_response_is_waited_for_at_sigterm(serve, journal, key):
    server = serve("wsgi_corners:app", "--interface", "wsgi")
    assert len(server.client.get(f"/closes_slowly?{key}").content) == 2**16
    server.signal()
    assert server.wait_until_ended() == 0
    assert journal.next(key) == 1


def test_each_request_is_in_the_access_log(serve):
    server = serve("wsgi_corners:app", "--interface", "wsgi", "--access-log")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: server.client.get(f"/listed?{number}"), range(200)))
    server.signal()
    assert server.wait_until_ended() == 0
    assert server.output.count("GET /listed?") == 200
    assert "Callgate has stopped" in server.output.splitlines()[-1]


def test_a_computing_application_does_not_hold_the_server_up(serve, journal, key):
    server = serve("stuck_wsgi:app", "--interface", "wsgi", "--timeout-graceful-shutdown", "0")
    with Connection(server) as busy, Connection(server) as other:
        busy.send(get(f"/computes?{key}"))
        assert journal.next(key) == "called"
        # Without the interpreter, the server answers what needs no application.
        assert other.ask(get("/%zz")).status == 400
    with contextlib.suppress(Closed):
        server.signal()
    assert server.wait_until_ended() == 0
