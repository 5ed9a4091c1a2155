"""Rules of the protocol that ASGI and WSGI do not have: an application that breaks them is served, and warned of once."""

import pytest
from websockets.exceptions import ConnectionClosed

from conftest import SERVER
from wire import BINARY, Connection, Http2, WebSocket, get, handshake

pytestmark = pytest.mark.skipif(SERVER != "callgate", reason="the rules are those of callgate")


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("breaks_rules:app")


@pytest.fixture(scope="module")
def wsgi_server(serve_for_module):
    return serve_for_module("breaks_rules:wsgi")


def ask_twice(server, path):
    with Connection(server) as connection:
        first, second = (connection.ask(get(path)) for _ in range(2))
    assert (first.status, first.body) == (second.status, second.body)
    return second


def check_warning(server, rule, what):
    """Checks that there was one warning about a rule, however often it was broken."""
    server.wait_for_output(f"{what}, by the rule {rule}: An application")
    lines = [line for line in server.output.splitlines() if f"by the rule {rule}: " in line]
    [line] = lines
    assert " WARNING " in line


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_length_with_204_is_left_out(server, wsgi_server, kind):
    server = server if kind == "asgi" else wsgi_server
    response = ask_twice(server, "/length_with_204")
    assert (response.status, response.body) == (204, b"")
    assert response.get(b"content-length") == []
    check_warning(server, "HTTP-23", "`content-length` is left out of a response with status 204")


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_length_that_is_repeated_is_sent_once(server, wsgi_server, kind):
    server = server if kind == "asgi" else wsgi_server
    response = ask_twice(server, "/length_twice")
    assert response.body == b"hello"
    assert response.get(b"content-length") == [b"5"]
    check_warning(server, "HTTP-19", "`content-length` is set several times, and is sent once")


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_fields_of_the_connection_are_left_out(server, wsgi_server, kind):
    server = server if kind == "asgi" else wsgi_server
    response = ask_twice(server, "/connection")
    assert response.body == b"hello"
    assert response.get(b"connection") == response.get(b"keep-alive") == []
    check_warning(server, "HTTP-18", "the field `connection` is left out")


@pytest.mark.parametrize("status", [204, 205, 304])
def test_content_is_left_out_where_the_status_permits_none(server, status):
    response = ask_twice(server, f"/content_with_{status}")
    assert (response.status, response.body) == (status, b"")
    server.wait_for_output("by the rule HTTP-22: ")
    assert server.output.count("by the rule HTTP-22: ") == 1


def test_a_file_is_left_out_where_the_status_permits_no_content(server):
    response = ask_twice(server, "/file_with_204")
    assert (response.status, response.body) == (204, b"")


def test_content_of_wsgi_is_left_out_where_the_status_permits_none(wsgi_server):
    response = ask_twice(wsgi_server, "/content_with_304")
    assert (response.status, response.body) == (304, b"")
    what = "the content of a response is left out whose status permits none"
    check_warning(wsgi_server, "HTTP-22", what)


def test_content_may_take_the_place_of_a_file_that_is_not_there(server):
    assert ask_twice(server, "/falls_back").body == b"there is no file"


def test_early_hints_after_the_start_are_left_out(server):
    assert ask_twice(server, "/late_hint").body == b"hello"
    what = "early hints after the start of the response are left out"
    check_warning(server, "EXT-11", what)


def test_what_follows_the_end_is_left_out(server):
    assert ask_twice(server, "/after_the_end").body == b"hello"
    what = "`http.response.body` is left out after the end of the response"
    check_warning(server, "HTTP-16", what)


def read_trailers(server, path):
    with Connection(server) as connection:
        connection.send(get(path, "TE: trailers", "Connection: close"))
        octets = connection.read_to_end()
    assert b"\r\n5\r\nhello\r\n" in octets
    assert b"content-length" not in octets
    return octets.rpartition(b"\r\n0\r\n")[2].split()


def test_a_length_gives_way_to_trailers(server):
    assert read_trailers(server, "/trailers_with_length") == [b"x-sum:", b"1"]
    check_warning(
        server, "EXT-16", "`content-length` is left out of a response with trailer fields"
    )


def test_trailers_without_a_name_are_left_out(server):
    assert read_trailers(server, "/trailers") == [b"x-one:", b"1", b"x-two:", b"2"]
    what = "the trailer field `x-three` is left out, as the field `trailer` does not name it"
    check_warning(server, "EXT-06", what)


def test_fields_that_are_no_trailers_are_left_out(server):
    assert read_trailers(server, "/forbidden_trailer") == [b"x-one:", b"1"]
    check_warning(server, "EXT-05", "the trailer field `content-type` is left out")


def test_trailers_of_http2_need_neither_a_name_nor_a_sacrifice(server):
    with Http2(server) as client:
        assert client.ask("/trailers_with_length", ("te", "trailers")).get(b"content-length") == [
            b"5"
        ]


def test_a_subprotocol_that_is_not_offered_is_left_out(server):
    with WebSocket(server, "/subprotocol", "Sec-WebSocket-Protocol: chat") as websocket:
        assert websocket.response.get(b"sec-websocket-protocol") == []
    check_warning(
        server,
        "WS-06",
        "the subprotocol `never` is left out, which the client does not offer",
    )


def test_a_subprotocol_may_be_a_field(server):
    with WebSocket(server, "/subprotocol_as_field", "Sec-WebSocket-Protocol: chat") as websocket:
        assert websocket.response.get(b"sec-websocket-protocol") == [b"chat"]
        assert websocket.response.get(b"content-length") == []
    server.wait_for_output("by the rule WS-07: ")


def test_the_code_of_a_refusal_is_left_out(server):
    with Connection(server) as connection:
        assert connection.ask(handshake("/refused")).status == 403
    check_warning(server, "WS-11", "a WebSocket is refused with the code 1006, which is left out")


def test_a_long_reason_is_cut_between_characters(server):
    with server.websocket("/long_reason") as websocket, pytest.raises(ConnectionClosed) as closed:
        websocket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4000, "ä" * 61)
    check_warning(server, "WS-12", "the reason of a close is cut to 123 octets")


def test_a_message_of_text_and_bytes_is_the_bytes(server):
    with WebSocket(server, "/text_and_bytes") as websocket:
        assert websocket.read_frame() == (BINARY, b"bytes")
