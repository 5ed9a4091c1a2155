"""HTTP as an application of bare ASGI sees it, and as its client does, octet by octet."""

import contextlib
import select
import socket
import time

import pytest

from conftest import APPS, PATIENCE, SERVER
from wire import Closed, Connection, get, post

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module")
def server(serve_for_module):
    server = serve_for_module("raw_http:app")
    return server


@pytest.fixture(scope="module")
def by_header(serve_for_module):
    return serve_for_module("raw_http:app_behind_a_header")


@pytest.fixture
def connection(server):
    with Connection(server) as connection:
        yield connection


# The scope.


def scope_of(server, journal, key, target, *fields, **options):
    with Connection(server) as connection:
        response = connection.ask(get(target, f"X-Key: {key}", *fields, **options))
        assert response.status == 200
        return journal.next(key), connection


def test_the_scope_has_the_keys_of_asgi_with_their_types(by_header, journal, key):
    with Connection(by_header) as connection:
        client, server = connection.socket.getsockname(), connection.socket.getpeername()
        connection.ask(get("/a%20b/%C3%A9?x=%20&y", f"X-Key: {key}"))
    scope = journal.next(key)
    assert scope["type"] == "http"
    assert scope["asgi"]["version"] == "3.0"
    assert scope["asgi"]["spec_version"].startswith("2.")
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/a b/é"
    assert scope["raw_path"] == b"/a%20b/%C3%A9"
    assert scope["query_string"] == b"x=%20&y"
    assert scope["root_path"] == ""
    assert [tuple(pair) for pair in scope["headers"]] == [
        (b"host", b"test"),
        (b"x-key", key.encode()),
    ]
    assert tuple(scope["client"]) == client
    assert tuple(scope["server"]) == server
    assert isinstance(scope["state"], dict)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/%7Euser/%2F/%25", "/~user///%"),
        ("/plus+and%2B", "/plus+and+"),
        ("/double%2520", "/double%20"),
        ("//two//slashes/../dots/.", "//two//slashes/../dots/."),
        ("/semi;colon=1", "/semi;colon=1"),
    ],
)
def test_the_path_is_decoded_once_and_raw_path_is_as_sent(by_header, journal, key, target, path):
    scope, _ = scope_of(by_header, journal, key, target)
    assert scope["path"] == path
    assert scope["raw_path"] == target.encode()


UNDECODABLE = pytest.mark.callgate_differs(
    "a target that is no URI is answered with 400 (SCOPE-05)"
)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/%FF", "/\ufffd"),
        pytest.param("/%zz", "/%zz", marks=UNDECODABLE),
        pytest.param("/%", "/%", marks=UNDECODABLE),
    ],
)
def test_a_path_that_cannot_be_decoded_reaches_the_application(
    by_header, journal, key, target, path
):
    scope, _ = scope_of(by_header, journal, key, target)
    assert scope["path"] == path
    assert scope["raw_path"] == target.encode()


def test_an_absolute_target_gives_its_path(by_header, journal, key):
    scope, _ = scope_of(by_header, journal, key, "http://test/there?x")
    assert scope["path"] == "/there"
    assert scope["query_string"] == b"x"


def test_an_empty_query_is_an_empty_query_string(by_header, journal, key):
    scope, _ = scope_of(by_header, journal, key, "/?")
    assert scope["query_string"] == b""


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "PROPFIND", "OPTIONS"])
def test_the_method_is_as_sent(by_header, journal, key, method):
    scope, _ = scope_of(by_header, journal, key, "/", method=method)
    assert scope["method"] == method


def test_fields_keep_their_octets_and_the_order_of_values_of_one_name(by_header, journal, key):
    fields = ("X-List: 1", "X-Octets: caf\xe9", "x-list: 2", "X-Space: \t padded", "X-Empty:")
    scope, _ = scope_of(by_header, journal, key, "/", *fields)
    values = {}
    for name, value in scope["headers"]:
        assert isinstance(name, bytes)
        assert isinstance(value, bytes)
        values.setdefault(name, []).append(value)
    assert values[b"x-list"] == [b"1", b"2"]
    assert values[b"x-octets"] == [b"caf\xe9"]
    assert values[b"x-space"] == [b"padded"]
    assert values[b"x-empty"] == [b""]


def test_the_fields_of_a_request_are_not_those_of_the_one_before(by_header, journal, key):
    for names in (["x-a", "x-b"], ["x-b"], [f"x-{n}" for n in range(40)], ["x-b", "x-a"]):
        fields = [f"{name}: {number}" for number, name in enumerate(names)]
        scope, _ = scope_of(by_header, journal, key, "/", *fields)
        told = [(name.decode(), value.decode()) for name, value in scope["headers"]]
        expected = [(name, str(number)) for number, name in enumerate(names)]
        assert [field for field in told if field[0] in names] == expected


def test_http_1_0_is_told(by_header, journal, key):
    scope, connection = scope_of(by_header, journal, key, "/", version="HTTP/1.0")
    assert scope["http_version"] == "1.0"


def test_an_upgrade_that_the_server_does_not_know_is_a_plain_request(by_header, journal, key):
    fields = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    )
    scope, _ = scope_of(by_header, journal, key, "/", *fields)
    assert scope["type"] == "http"
    assert scope["http_version"] == "1.1"


def test_a_trusted_proxy_tells_client_and_scheme(by_header, journal, key):
    fields = ("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
    scope, _ = scope_of(by_header, journal, key, "/", *fields)
    assert scope["client"][0] == "192.0.2.7"
    assert scope["scheme"] == "https"


def test_the_client_is_the_last_hop_that_is_not_trusted(serve, journal, key):
    trusted = "127.0.0.1,198.51.100.0/24"
    server = serve("raw_http:app_behind_a_header", "--forwarded-allow-ips", trusted)
    fields = ("X-Forwarded-For: 203.0.113.9, 192.0.2.7", "X-Forwarded-For: 198.51.100.3")
    scope, _ = scope_of(server, journal, key, "/", *fields)
    assert scope["client"][0] == "192.0.2.7"


def test_a_proxy_that_is_not_trusted_tells_nothing(serve, journal, key):
    server = serve("raw_http:app_behind_a_header", "--forwarded-allow-ips", "192.0.2.1")
    scope, _ = scope_of(
        server, journal, key, "/", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"
    )
    assert scope["client"][0] == "127.0.0.1"
    assert scope["scheme"] == "http"


@pytest.mark.uvicorn_fails("takes what is no address as the client")
def test_a_malformed_client_of_a_trusted_proxy_is_none(by_header, journal, key):
    fields = ("X-Forwarded-For: nobody", "X-Forwarded-Proto: https")
    scope, _ = scope_of(by_header, journal, key, "/", *fields)
    assert scope["client"] is None
    assert scope["scheme"] == "http"


def test_the_root_path_is_a_part_of_the_path(serve, journal, key):
    server = serve("raw_http:app_behind_a_header", "--root-path", "/mounted")
    scope, _ = scope_of(server, journal, key, "/here?x")
    assert scope["root_path"] == "/mounted"
    assert scope["path"] == "/mounted/here"
    assert scope["raw_path"] == b"/mounted/here"


def test_an_application_may_be_an_attribute_of_an_object(serve):
    assert serve("raw_http:holder.app", "--interface", "asgi3").client.get("/hello").text == "hello"


def test_an_application_may_come_from_a_factory(serve):
    assert serve("raw_http:create_app", "--factory").client.get("/hello").text == "hello"


def test_the_server_of_a_unix_socket_is_its_path_or_none(servers, tmp_path, journal, key):
    import httpx

    path = str(tmp_path / "server.sock")
    server = servers.start("raw_http:app_behind_a_header", "--uds", path)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
                break
        except OSError:
            assert server.process.poll() is None, server.output
            time.sleep(0.01)
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://test") as client:
        assert client.get("/", headers={"x-key": key}).text == "hello"
    address = journal.next(key).get("server")
    # ASGI permits both.
    assert address is None or (SERVER != "callgate" and list(address) == [path, None])


# The content of a request.


def contents(journal, key):
    """Returns the events of a request, and checks their form."""
    events = [journal.next(key)]
    while events[-1].get("more_body", False):
        events.append(journal.next(key))
    assert all(event["type"] == "http.request" for event in events)
    assert all(isinstance(event.get("body", b""), bytes) for event in events)
    return b"".join(event.get("body", b"") for event in events)


def test_a_request_without_content_gives_one_empty_event(server, connection, journal, key):
    connection.ask(get(f"/show_events?{key}"))
    event = journal.next(key)
    assert event["type"] == "http.request"
    assert event.get("body", b"") == b""
    assert not event.get("more_body", False)


def test_content_with_a_length(server, connection, journal, key):
    connection.ask(post(f"/show_events?{key}", b"some content"))
    assert contents(journal, key) == b"some content"


def test_chunked_content(server, connection, journal, key):
    head = get(f"/show_events?{key}", "Transfer-Encoding: chunked", method="POST")
    connection.ask(head + b"5\r\nhello\r\n1;extension=1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n")
    assert contents(journal, key) == b"hello 0123456789"


def test_content_comes_in_parts_as_it_is_sent(server, connection, journal, key):
    connection.send(get(f"/show_events?{key}", "Content-Length: 10", method="POST"))
    received = b""
    for part in (b"01234", b"56789"):
        connection.send(part)
        while not received.endswith(part):
            event = journal.next(key)
            received += event.get("body", b"")
    assert not event.get("more_body", False) or not journal.next(key).get("more_body", False)
    assert connection.read_response().body == b"hello"


@pytest.mark.parametrize("size", [2**16 - 1, 2**20, 2**24])
def test_large_content_is_echoed_whole(server, size):
    octets = bytes(range(256)) * (size // 256 + 1)
    response = server.client.post("/echo", content=octets)
    assert response.content == octets


def test_large_chunked_content_is_echoed_whole(server):
    parts = [bytes([number]) * 50_000 for number in range(100)]
    response = server.client.post("/echo", content=iter(parts))
    assert response.content == b"".join(parts)


def test_a_request_may_come_octet_by_octet(server, connection):
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in post("/echo", b"slow", "X-Field: value"):
        connection.send(bytes([octet]))
    assert connection.read_response().body == b"slow"


def test_trailing_fields_of_chunked_content_do_no_harm(server, connection):
    head = get("/echo", "Transfer-Encoding: chunked", method="POST")
    response = connection.ask(head + b"5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n")
    assert response.body == b"hello"
    assert connection.ask(get("/hello")).body == b"hello"


def test_100_continue_comes_when_the_application_receives(server, connection):
    connection.send(get("/echo", "Content-Length: 5", "Expect: 100-continue", method="POST"))
    assert connection.read_response().status == 100
    connection.send(b"hello")
    assert connection.read_response().body == b"hello"


def test_no_100_continue_when_the_application_does_not_receive(server, connection):
    connection.send(
        get("/ignores_content", "Content-Length: 5", "Expect: 100-continue", method="POST")
    )
    assert connection.read_response().status == 200


def test_the_response_may_stream_while_the_request_comes(server, connection):
    connection.send(get("/echo_in_parts", "Transfer-Encoding: chunked", method="POST"))
    for number, part in enumerate((b"one", b"two", b"three")):
        connection.send(b"%x\r\n%s\r\n" % (len(part), part))
        if number == 0:
            assert connection.read_head().status == 200
        assert connection.read_chunk() == part.upper()
    connection.send(b"0\r\n\r\n")
    assert connection.read_chunk() == b""


def test_content_that_the_application_leaves_is_no_part_of_the_next_request(server, connection):
    response = connection.ask(post("/ignores_content", b"GET /closes HTTP/1.1\r\n\r\n"))
    assert response.body == b"hello"
    assert connection.ask(get("/status?204")).status == 204


def test_receive_after_the_response_tells_the_disconnect(server, connection, journal, key):
    assert connection.ask(post(f"/receives_after_the_end?{key}", b"hello")).body == b"hello"
    assert journal.next(key) == {"type": "http.disconnect"}
    assert journal.next(key) == {"type": "http.disconnect"}


def test_content_that_no_application_receives_is_not_taken_without_bound(server, journal, key):
    """The server stops to read, so the client cannot write on."""
    size = 3 * 2**24
    with Connection(server) as connection:
        connection.send(get(f"/receives_nothing?{key}", f"Content-Length: {size}", method="POST"))
        assert journal.next(key) == "called"
        connection.socket.setblocking(False)
        chunk, sent = b"x" * 2**16, 0
        while select.select([], [connection.socket], [], 0.5)[1]:
            sent += connection.socket.send(chunk)
            assert sent < 2**25, "the server has taken 32 MiB that the application has not received"
        connection.socket.settimeout(PATIENCE)
        assert server.client.get("/go").text == "hello"
        while sent < size:
            part = chunk[: size - sent]
            connection.send(part)
            sent += len(part)
        assert journal.next(key) == size
        assert connection.read_response().body == b"hello"


# The response.


def test_a_response_with_a_length(server, connection):
    response = connection.ask(get("/hello"))
    assert (response.version, response.status, response.body) == (b"HTTP/1.1", 200, b"hello")
    assert response.get(b"content-length") == [b"5"]
    assert response.get(b"transfer-encoding") == []


def test_a_response_without_a_length_is_chunked(server, connection):
    response = connection.ask(get("/chunks"))
    assert response.get(b"transfer-encoding") == [b"chunked"]
    assert response.body == b"onetwo"
    assert connection.ask(get("/hello")).body == b"hello"


def test_an_empty_response_without_a_length_ends(server, connection):
    assert connection.ask(get("/empty_without_length")).body == b""
    assert connection.ask(get("/hello")).body == b"hello"


def test_transfer_encoding_of_the_application_is_not_doubled(server, connection):
    response = connection.ask(get("/own_transfer_encoding"))
    assert response.get(b"transfer-encoding") == [b"chunked"]
    assert response.body == b"onetwo"


def test_a_response_to_http_1_0_is_not_chunked(server, connection):
    response = connection.ask(get("/hello", version="HTTP/1.0"))
    assert response.body == b"hello"
    assert connection.read_to_end() == b""


@pytest.mark.uvicorn_fails("sends chunks to a client of HTTP/1.0")
def test_a_response_without_a_length_to_http_1_0_ends_with_the_connection(server, connection):
    response = connection.ask(get("/chunks", version="HTTP/1.0"))
    assert response.get(b"transfer-encoding") == []
    assert response.body == b"onetwo"


def test_http_1_0_may_keep_the_connection(server, connection):
    response = connection.ask(get("/hello", "Connection: keep-alive", version="HTTP/1.0"))
    assert response.body == b"hello"
    if response.get(b"connection") == [b"keep-alive"]:
        assert connection.ask(get("/hello", version="HTTP/1.0")).body == b"hello"
    assert connection.read_to_end() == b""


@pytest.mark.parametrize("path", ["/hello", "/head_with_chunks", "/chunks"])
def test_a_response_to_head_has_no_content(server, connection, path):
    response = connection.ask(get(path, method="HEAD"), head_only=True)
    assert response.status == 200
    if path == "/hello":
        assert response.get(b"content-length") == [b"5"]
    assert connection.ask(get("/hello")).body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_has_no_framing(server, connection, status):
    response = connection.ask(get(f"/status?{status}"))
    assert response.status == status
    assert response.get(b"transfer-encoding") == []
    assert connection.ask(get("/hello")).body == b"hello"


@pytest.mark.parametrize("status", [200, 299, 404, 418, 500, 599])
def test_any_status_is_sent(server, connection, status):
    assert connection.ask(get(f"/status?{status}")).status == status


def test_a_status_may_be_of_an_enumeration(server, connection):
    assert connection.ask(get("/status_of_an_enumeration")).status == 201


def test_fields_of_the_response_keep_their_octets_and_their_order(server, connection):
    response = connection.ask(get("/fields"))
    assert response.get(b"set-cookie") == [b"a=1", b"b=2"]
    assert response.get(b"x-octets") == [b"caf\xe9 \xff"]
    assert response.get(b"x-empty") == [b""]


def test_fields_may_be_an_iterator_of_lists(server, connection):
    assert connection.ask(get("/fields_in_other_forms")).get(b"x-upper") == [b"1"]
    assert connection.ask(get("/tuple_of_fields")).get(b"x-field") == [b"1"]


def test_headers_and_body_may_be_left_out(server, connection):
    assert connection.ask(get("/no_fields")).body == b""


def test_a_body_may_be_any_kind_of_octets(server, connection):
    assert connection.ask(get("/kinds_of_octets")).body == b"onetwo"


def test_keys_that_no_one_knows_are_ignored(server, connection):
    assert connection.ask(get("/keys_that_no_one_knows")).body == b"hello"


def test_server_and_date_are_added(server, connection):
    response = connection.ask(get("/hello"))
    assert len(response.get(b"server")) == 1
    assert len(response.get(b"date")) == 1


@pytest.mark.uvicorn_fails("adds its own `date` and `server` beside those of the application")
def test_server_and_date_of_the_application_stay(server, connection):
    response = connection.ask(get("/own_server_and_date"))
    assert response.get(b"server") == [b"mine"]
    assert response.get(b"date") == [b"Thu, 01 Jan 1970 00:00:00 GMT"]


def test_default_fields_are_settings(serve):
    server = serve(
        "raw_http:app", "--no-server-header", "--no-date-header", "--header", "x-added:1"
    )
    with Connection(server) as connection:
        response = connection.ask(get("/hello"))
    assert response.get(b"server") == response.get(b"date") == []
    assert response.get(b"x-added") == [b"1"]


def test_a_field_cannot_split_the_response(server, connection):
    server.expect_error_at("/splits_the_response")
    connection.send(get("/splits_the_response", "Connection: close"))
    octets = connection.read_to_end()
    assert b"\r\nx-injected" not in octets


# Connections.


def test_a_connection_is_kept(server, connection):
    for _ in range(3):
        assert connection.ask(get("/hello")).body == b"hello"
    assert connection.ask(post("/echo", b"content")).body == b"content"


def test_the_client_closes_the_connection(server, connection):
    response = connection.ask(get("/hello", "Connection: close"))
    assert response.get(b"connection") == [b"close"]
    assert connection.read_to_end() == b""


@pytest.mark.callgate_differs("the connection is the server's, and the field is removed")
def test_the_application_closes_the_connection(server, connection):
    response = connection.ask(get("/closes"))
    assert response.get(b"connection") == [b"close"]
    assert response.body == b"hello"
    assert connection.read_to_end() == b""


def test_an_idle_connection_is_closed(serve):
    server = serve("raw_http:app", "--timeout-keep-alive", "1")
    with Connection(server) as connection:
        assert connection.ask(get("/hello")).body == b"hello"
        assert connection.read_to_end() == b""


def test_a_connection_with_a_request_is_not_idle(serve):
    server = serve("raw_http:app", "--timeout-keep-alive", "1")
    with Connection(server) as connection:
        connection.send(get("/answers_after_a_while") + get("/hello"))
        assert [connection.read_response().body for _ in range(2)] == [b"hello", b"hello"]


def test_pipelined_requests_are_answered_in_order(server, connection):
    connection.send(post("/echo", b"one") + get("/hello") + get("/chunks") + post("/echo", b"four"))
    assert [connection.read_response().body for _ in range(4)] == [
        b"one",
        b"hello",
        b"onetwo",
        b"four",
    ]


def test_pipelined_requests_are_served_one_after_another(server, connection, journal, key):
    connection.send(get(f"/waits_for_the_next?{key}") * 2)
    assert [journal.next(key) for _ in range(4)] == ["begun", "ended"] * 2
    assert [connection.read_response().body for _ in range(2)] == [b"hello"] * 2


def test_pipelined_requests_after_content_that_nobody_received(server, connection):
    connection.send(post("/ignores_content", b"x" * 1000) + get("/chunks"))
    assert [connection.read_response().body for _ in range(2)] == [b"hello", b"onetwo"]


def test_many_pipelined_requests(server, connection):
    connection.send(get("/hello") * 500)
    assert all(connection.read_response().body == b"hello" for _ in range(500))


def test_a_half_closed_client_gets_its_response(server, connection):
    connection.send(get("/hello", "Connection: close"))
    connection.socket.shutdown(socket.SHUT_WR)
    assert connection.read_response().body == b"hello"


# Errors of the application.


def test_an_exception_before_the_start_gives_500(server, connection):
    server.expect_error("raised before the start")
    assert connection.ask(get("/raises")).status == 500
    server.wait_for_output("RuntimeError: raised before the start")


def test_an_exception_after_the_start_cuts_the_response(server, connection):
    server.expect_error("raised after the start")
    connection.send(get("/raises_after_start"))
    with pytest.raises(Closed):
        connection.read_response()
    server.wait_for_output("RuntimeError: raised after the start")


def test_an_exception_after_the_end_leaves_the_response_whole(server, connection):
    server.expect_error("raised after the end")
    assert connection.ask(get("/raises_after_end")).body == b"hello"
    server.wait_for_output("RuntimeError: raised after the end")


def test_an_application_that_sends_nothing_gives_500(server, connection):
    server.expect_error_at("/sends_nothing")
    assert connection.ask(get("/sends_nothing")).status == 500


@pytest.mark.parametrize("path", ["/starts_only", "/sends_a_part"])
def test_a_response_that_the_application_does_not_end_is_cut(server, connection, path):
    server.expect_error_at(path)
    connection.send(get(path, "Connection: close"))
    with contextlib.suppress(Closed):
        assert connection.read_response().status == 500


@pytest.mark.parametrize("path", ["/too_much", "/too_little"])
def test_content_against_its_length_never_looks_whole(server, connection, path):
    server.expect_error_at(path)
    connection.send(get(path, "Connection: close"))
    with contextlib.suppress(Closed):
        assert connection.read_response().status == 500
    connection.read_to_end()


@pytest.mark.parametrize("path", ["/body_first", "/unknown_event"])
def test_an_event_in_the_wrong_place_raises_and_gives_500(server, connection, journal, key, path):
    server.expect_error_at(path)
    assert connection.ask(get(f"{path}?{key}")).status == 500
    assert journal.next(key) != "sent"


@pytest.mark.uvicorn_fails("takes some of these events")
def test_a_response_may_follow_malformed_events(server, connection, journal, key):
    response = connection.ask(get(f"/answers_after_malformed_events?{key}"))
    assert (response.status, response.body) == (200, b"hello")
    raised = [journal.next(key) for _ in range(6)]
    assert set(raised) <= {"KeyError", "RuntimeError", "TypeError", "ValueError"}, raised


def test_a_second_start_raises(server, connection, journal, key):
    server.expect_error_at("/starts_twice")
    connection.send(get(f"/starts_twice?{key}", "Connection: close"))
    assert journal.next(key) != "sent"
    connection.read_to_end()


def test_an_event_after_the_end_does_not_change_the_response(server, connection, journal, key):
    server.expect_error_at("/sends_after_the_end")
    assert connection.ask(get(f"/sends_after_the_end?{key}")).body == b"hello"
    journal.next(key)
    assert connection.ask(get("/hello")).body == b"hello"


def test_a_value_that_the_application_returns_does_not_change_the_response(server, connection):
    server.expect_error_at("/returns_a_value")
    assert connection.ask(get("/returns_a_value")).body == b"hello"


# Clients that go away.


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_goes_in_its_content_is_a_disconnect(server, journal, key, end):
    with Connection(server) as connection:
        connection.send(
            get(f"/receives_until_disconnect?{key}", "Content-Length: 10", method="POST") + b"half"
        )
        assert journal.next(key) == {"type": "http.request", "body": b"half", "more_body": True}
        if end == "reset":
            connection.reset()
    assert journal.next(key) == {"type": "http.disconnect"}


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_goes_before_the_response_is_a_disconnect(server, journal, key, end):
    with Connection(server) as connection:
        connection.send(get(f"/receives_until_disconnect?{key}"))
        assert journal.next(key)["type"] == "http.request"
        if end == "reset":
            connection.reset()
    assert journal.next(key) == {"type": "http.disconnect"}


def test_a_send_after_the_disconnect_has_no_effect_or_raises_an_oserror(server, journal, key):
    with Connection(server) as connection:
        connection.send(get(f"/sends_after_disconnect?{key}"))
    assert journal.next(key) in ("no effect", "OSError")


def test_a_client_that_goes_in_the_response_is_a_disconnect(server, journal, key):
    with Connection(server) as connection:
        connection.send(get(f"/sends_without_end?{key}"))
        assert journal.next(key) == "started"
        assert connection.read_head().status == 200
        connection.reset()
    assert journal.next(key) == "disconnected"


def test_a_client_that_goes_before_its_request_is_whole_is_no_call(server, journal, key):
    with Connection(server) as connection:
        connection.send(b"GET /show_scope?" + key.encode() + b" HTTP/1.1\r\nHost: t")
        connection.reset()
    assert server.client.get("/hello").text == "hello"
    assert not journal.heard(key)


# Malformed requests.


@pytest.mark.parametrize(
    "octets",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\nx: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: test\r\n x: folded\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: test\r\n\r\n",
        b"G@T / HTTP/1.1\r\nHost: test\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=[
        "no_request_line",
        "field_without_colon",
        "nul_in_value",
        "folded_first_field",
        "unknown_version",
        "no_token_as_method",
        "negative_length",
        "two_lengths",
        "tls",
    ],
)
def test_a_malformed_request_is_refused_and_ends_the_connection(server, connection, octets):
    connection.send(octets)
    # A server may wait for more of a head that has no end yet.
    connection.socket.shutdown(socket.SHUT_WR)
    answer = connection.read_to_end()
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505", b"HTTP/1.0 4"))


def test_a_request_with_a_length_and_chunks_is_the_last_of_its_connection(server, connection):
    """RFC 9112, section 6.1: it is refused, or its chunks count and the connection ends."""
    fields = ("Content-Length: 5", "Transfer-Encoding: chunked")
    connection.send(get("/echo", *fields, method="POST") + b"2\r\nab\r\n0\r\n\r\n" + get("/hello"))
    octets = connection.read_to_end()
    assert octets.count(b"HTTP/1.1") <= 1
    assert octets == b"" or octets.startswith(b"HTTP/1.1 4") or octets.endswith(b"ab")


def test_malformed_chunks_are_a_disconnect(server, connection, journal, key):
    head = get(f"/receives_until_disconnect?{key}", "Transfer-Encoding: chunked", method="POST")
    connection.send(head + b"5\r\nhello\r\n")
    assert journal.next(key) == {"type": "http.request", "body": b"hello", "more_body": True}
    server.expect_error_at("/receives_until_disconnect")
    connection.send(b"zz\r\n")
    assert journal.next(key) == {"type": "http.disconnect"}
    assert connection.read_to_end()[:10] in (b"", b"HTTP/1.1 4")


@pytest.mark.uvicorn_fails("takes a head of any size")
def test_a_head_without_bound_is_refused(server, connection):
    lines = b"".join(b"X-Field-%d: %s\r\n" % (number, b"x" * 1000) for number in range(5000))
    try:
        status = connection.ask(b"GET /hello HTTP/1.1\r\nHost: test\r\n" + lines + b"\r\n").status
    except (Closed, ConnectionError):
        return
    assert 400 <= status < 500


def test_a_bad_request_does_not_disturb_others(server):
    with Connection(server) as good, Connection(server) as bad:
        good.send(get("/waits_for_the_next?none"))
        bad.send(b"garbage\r\n\r\n")
        bad.read_to_end()
        assert good.read_response().body == b"hello"


# Extensions, where the server offers them.


def offered(server, journal, key, extension, headers=None):
    server.client.get(f"/show_scope?{key}", headers=headers)
    is_offered = extension in journal.next(key).get("extensions", {})
    assert is_offered or SERVER != "callgate"
    if not is_offered:
        pytest.skip(f"the server does not offer {extension}")


def test_early_hints_come_before_the_response(server, connection, journal, key):
    offered(server, journal, key, "http.response.early_hint")
    hint = connection.ask(get("/early_hint"))
    assert hint.status == 103
    assert hint.get(b"link") == [b"</style.css>; rel=preload"]
    assert connection.read_response().body == b"hello"


def test_a_file_is_sent_by_its_path(server, journal, key):
    offered(server, journal, key, "http.response.pathsend")
    octets = (APPS / "raw_http.py").read_bytes()
    assert server.client.get(f"/path_send?{len(octets)}").content == octets


def test_trailers_follow_the_content(server, connection, journal, key):
    offered(server, journal, key, "http.response.trailers", {"TE": "trailers"})
    connection.send(get("/trailers", "TE: trailers"))
    head = connection.read_head()
    assert head.get(b"transfer-encoding") == [b"chunked"]
    assert connection.read_chunk() == b"hello"
    assert connection.read_until(b"\r\n") == b"0"
    assert connection.read_until(b"\r\n\r\n").lower() == b"x-sum: 5"
