"""WebSockets as an application of bare ASGI sees them, and as their client does, frame by frame."""

import socket
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Closed,
    Connection,
    WebSocket,
    frame,
    get,
    handshake,
)

pytestmark = pytest.mark.every_loop


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("raw_websocket:app")


# The handshake.


def test_the_scope_has_the_keys_of_asgi_with_their_types(server, journal, key):
    fields = ("Sec-WebSocket-Protocol: one, two", "X-Octets: caf\xe9")
    with WebSocket(server, f"/a%20b/%C3%A9?{key}", *fields) as websocket:
        client, address = websocket.socket.getsockname(), websocket.socket.getpeername()
        assert websocket.response.status == 101
        assert len(websocket.response.get(b"server")) == 1
        assert len(websocket.response.get(b"date")) == 1
    scope = journal.next(key)
    assert scope["type"] == "websocket"
    assert scope["asgi"]["version"] == "3.0"
    assert scope["asgi"]["spec_version"].startswith("2.")
    assert scope["http_version"] == "1.1"
    assert scope["scheme"] == "ws"
    assert scope["path"] == "/a b/é"
    assert scope["raw_path"] == b"/a%20b/%C3%A9"
    assert scope["query_string"] == key.encode()
    assert scope["root_path"] == ""
    assert list(scope["subprotocols"]) == ["one", "two"]
    headers = [tuple(pair) for pair in scope["headers"]]
    assert (b"x-octets", b"caf\xe9") in headers
    assert (b"host", b"test") in headers
    assert (b"upgrade", b"websocket") in headers
    assert tuple(scope["client"]) == client
    assert tuple(scope["server"]) == address
    assert scope["extensions"]["websocket.http.response"] == {}
    assert isinstance(scope["state"], dict)
    assert "method" not in scope


def test_subprotocols_may_come_in_several_fields(server, journal, key):
    fields = ("Sec-WebSocket-Protocol: one,two", "Sec-WebSocket-Protocol:  three")
    WebSocket(server, f"/show_scope?{key}", *fields).socket.close()
    assert list(journal.next(key)["subprotocols"]) == ["one", "two", "three"]


def test_no_subprotocols_are_an_empty_list(server, journal, key):
    WebSocket(server, f"/show_scope?{key}").socket.close()
    assert list(journal.next(key)["subprotocols"]) == []


def test_a_trusted_proxy_tells_client_and_scheme(server, journal, key):
    fields = ("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
    WebSocket(server, f"/show_scope?{key}", *fields).socket.close()
    scope = journal.next(key)
    assert scope["client"][0] == "192.0.2.7"
    assert scope["scheme"] == "wss"


def test_the_key_is_answered(server):
    with WebSocket(server, "/echo?none") as websocket:
        response = websocket.response
        assert response.status == 101
        assert [value.lower() for value in response.get(b"upgrade")] == [b"websocket"]
        assert [value.lower() for value in response.get(b"connection")] == [b"upgrade"]
        # The example of RFC 6455, section 1.3.
        assert response.get(b"sec-websocket-accept") == [b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
        assert response.get(b"sec-websocket-protocol") == []


def test_the_application_chooses_the_subprotocol(server):
    with WebSocket(server, "/last_subprotocol", "Sec-WebSocket-Protocol: one, two") as websocket:
        assert websocket.response.get(b"sec-websocket-protocol") == [b"two"]


def test_the_application_chooses_no_subprotocol(server):
    with WebSocket(server, "/no_subprotocol", "Sec-WebSocket-Protocol: one, two") as websocket:
        assert websocket.response.status == 101
        assert websocket.response.get(b"sec-websocket-protocol") == []


def test_the_application_adds_fields_to_the_handshake(server):
    with WebSocket(server, "/fields") as websocket:
        assert websocket.response.get(b"set-cookie") == [b"a=1", b"b=2"]
        assert websocket.response.get(b"x-field") == [b"1"]


@pytest.mark.parametrize("path", ["/rejects", "/rejects_at_once", "/rejects_with_a_list"])
def test_a_close_before_the_accept_is_403(server, path):
    with pytest.raises(InvalidStatus) as refused:
        server.websocket(path + "?none")
    assert refused.value.response.status_code == 403


def test_receive_after_a_close_before_the_accept_tells_the_disconnect(server, journal, key):
    with pytest.raises(InvalidStatus):
        server.websocket(f"/rejects?{key}")
    assert journal.next(key) == "websocket.disconnect"


DENIAL_ERROR = "returned without completing handshake"


def test_a_denial_response_has_status_fields_and_content(server, journal, key):
    server.expect_error(DENIAL_ERROR, only="uvicorn")
    with Connection(server) as connection:
        response = connection.ask(handshake(f"/denies?{key}"))
    assert response.status == 401
    assert response.get(b"x-field") == [b"1"]
    assert response.body == b"not allowed"
    assert journal.next(key) == "websocket.disconnect"


def test_a_denial_response_may_have_no_length(server):
    server.expect_error(DENIAL_ERROR, only="uvicorn")
    with Connection(server) as connection:
        response = connection.ask(handshake("/denies_without_length"))
    assert response.status == 404
    assert response.body == b"not here"


@pytest.mark.uvicorn_fails("sends what has come")
@pytest.mark.parametrize("path", ["/denies_without_content", "/denies_twice"])
def test_a_denial_response_that_is_not_whole_is_an_error(server, path):
    server.expect_error_at(path)
    with Connection(server) as connection:
        assert connection.ask(handshake(path)).status == 500


def test_a_denial_response_with_a_status_that_there_is_not_is_an_error(server):
    server.expect_error_at("/denies_with_700")
    with Connection(server) as connection:
        assert connection.ask(handshake("/denies_with_700")).status == 500


def test_an_application_that_returns_before_the_handshake_refuses_it(server):
    server.expect_error_at("/returns_at_once")
    with Connection(server) as connection:
        assert connection.ask(handshake("/returns_at_once")).status in (403, 500)


def test_an_exception_before_the_handshake_gives_500(server):
    server.expect_error("raised before the handshake")
    with Connection(server) as connection:
        assert connection.ask(handshake("/raises_at_once")).status == 500
    server.wait_for_output("RuntimeError: raised before the handshake")


def test_a_message_before_the_accept_raises(server, journal, key):
    server.expect_error_at("/sends_before_accept")
    with Connection(server) as connection:
        assert connection.ask(handshake(f"/sends_before_accept?{key}")).status == 500
    assert journal.next(key) != "sent"


def test_a_second_accept_raises(server, journal, key):
    server.expect_error_at("/accepts_twice")
    with WebSocket(server, f"/accepts_twice?{key}") as websocket:
        assert websocket.read_close() in (1006, 1011)
    assert journal.next(key) != "sent"


@pytest.mark.parametrize(
    "fields",
    [
        ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        (
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: short",
        ),
        (
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 7",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    ],
    ids=["no_key", "malformed_key", "unknown_version"],
)
def test_a_handshake_that_is_malformed_is_refused(server, journal, key, fields):
    with Connection(server) as connection:
        assert connection.ask(get(f"/show_scope?{key}", *fields)).status in (400, 426)
    assert not journal.heard(key)


def test_a_client_that_goes_before_the_accept_is_a_disconnect(server, journal, key):
    with Connection(server) as connection:
        connection.send(handshake(f"/waits_before_accept?{key}"))
        assert journal.next(key) == "connect"
    assert journal.next(key) == "websocket.disconnect"


@pytest.mark.uvicorn_fails("loses a frame that comes with the handshake")
def test_a_frame_right_after_the_handshake_is_received(server):
    with Connection(server) as connection:
        connection.send(handshake("/echo?none") + frame(TEXT, b"early"))
        websocket = connection
        assert websocket.read_response(head_only=True).status == 101
        assert WebSocket.read_frame(websocket) == (TEXT, b"early")


# Messages.


def test_text_and_octets_are_echoed(server):
    with server.websocket("/echo?none") as websocket:
        for message in ("text", "ä€𝄞", "", b"octets\0\xff", b""):
            websocket.send(message)
            assert websocket.recv() == message


def test_either_key_of_a_message_may_be_none(server):
    with server.websocket("/both_keys") as websocket:
        assert [websocket.recv() for _ in range(3)] == ["text", b"bytes", ""]


@pytest.mark.parametrize("size", [125, 126, 2**16 - 1, 2**16, 2**20, 2**23])
def test_a_message_of_any_size_is_echoed(server, size):
    with server.websocket("/echo?none", max_size=None, compression=None) as websocket:
        octets = bytes(range(256)) * (size // 256) + bytes(size % 256)
        websocket.send(octets)
        assert websocket.recv() == octets


def test_a_fragmented_message_is_one_message(server):
    with WebSocket(server, "/echo?none") as websocket:
        websocket.send_frame(TEXT, b"one ", final=False)
        websocket.send_frame(PING, b"between")
        websocket.send_frame(0, b"two ", final=False)
        websocket.send_frame(0, b"three")
        assert websocket.read_frame() == (PONG, b"between")
        assert websocket.read_frame() == (TEXT, b"one two three")


def test_a_character_may_be_split_between_fragments(server):
    with WebSocket(server, "/echo?none") as websocket:
        octets = "ä€𝄞".encode()
        for number, octet in enumerate(octets):
            websocket.send_frame(
                TEXT if number == 0 else 0, bytes([octet]), final=number == len(octets) - 1
            )
        assert websocket.read_frame() == (TEXT, octets)


def test_many_messages_keep_their_order(server):
    with server.websocket("/echo?none", compression=None) as websocket:
        messages = [str(number) for number in range(1000)]
        # Few enough to fit into the buffers of the sockets while nothing is read.
        for message in messages:
            websocket.send(message)
        assert [websocket.recv() for _ in messages] == messages


def test_compressed_messages_are_echoed(server):
    with server.websocket("/echo?none", compression="deflate") as websocket:
        assert "permessage-deflate" in websocket.response.headers["sec-websocket-extensions"]
        for message in ("x" * 100_000, "y", "", b"z" * 10):
            websocket.send(message)
            assert websocket.recv() == message


def test_compression_is_a_setting(serve):
    server = serve("raw_websocket:app", "--ws-per-message-deflate", "off")
    with server.websocket("/echo?none", compression="deflate") as websocket:
        assert "sec-websocket-extensions" not in websocket.response.headers
        websocket.send("x" * 1000)
        assert websocket.recv() == "x" * 1000


def test_a_message_above_the_limit_closes_with_1009(serve, journal, key):
    server = serve("raw_websocket:app", "--ws-max-size", "1000")
    with server.websocket(f"/echo?{key}", compression=None) as websocket:
        websocket.send("x" * 1000)
        assert websocket.recv() == "x" * 1000
        websocket.send("x" * 1001)
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.recv()
    assert closed.value.rcvd.code == 1009
    assert journal.next(key)["type"] == "websocket.disconnect"


def test_text_that_is_not_utf_8_closes_with_1007(server, journal, key):
    server.expect_error_at("/echo")
    with WebSocket(server, f"/echo?{key}") as websocket:
        websocket.send_frame(TEXT, b"\xff\xfe")
        assert websocket.read_close() == 1007
    assert journal.next(key)["type"] == "websocket.disconnect"


@pytest.mark.parametrize(
    "octets",
    [frame(0xB), frame(PING, final=False), b"\x81\x05hello"],
    ids=["unknown_opcode", "fragmented_ping", "no_mask"],
)
def test_a_frame_against_the_protocol_closes_with_1002(server, journal, key, octets):
    with WebSocket(server, f"/echo?{key}") as websocket:
        websocket.send(octets)
        assert websocket.read_close() == 1002
    assert journal.next(key)["type"] == "websocket.disconnect"


def wake(server):
    """Ends the calls of `/sleeps_until_wake`, which would keep the server from stopping."""
    with server.websocket("/wake"):
        pass


def test_a_ping_is_answered_while_the_application_does_nothing(server):
    with WebSocket(server, "/sleeps_until_wake") as websocket:
        websocket.send_frame(PING, b"octets")
        assert websocket.read_frame() == (PONG, b"octets")
    wake(server)


def test_the_server_pings_a_silent_client(serve):
    server = serve("raw_websocket:app", "--ws-ping-interval", "0.2", "--ws-ping-timeout", "20")
    with WebSocket(server, "/sleeps_until_wake") as websocket:
        for _ in range(2):
            opcode, payload = websocket.read_frame()
            assert opcode == PING
            websocket.send_frame(PONG, payload)
    wake(server)


def test_a_client_that_does_not_answer_pings_is_a_disconnect(serve, journal, key):
    server = serve("raw_websocket:app", "--ws-ping-interval", "0.2", "--ws-ping-timeout", "0.2")
    with WebSocket(server, f"/echo?{key}"):
        assert journal.next(key)["type"] == "websocket.disconnect"


# The end.


@pytest.mark.parametrize(
    ("payload", "code", "reason"),
    [
        (b"\x03\xe8", 1000, ""),
        (b"\x03\xe9bye", 1001, "bye"),
        (b"\x0f\xa0" + "größer".encode(), 4000, "größer"),
        (b"", 1005, ""),
    ],
    ids=["1000", "1001", "4000", "no_code"],
)
def test_the_close_frame_of_the_client_is_a_disconnect_and_answered(
    server, journal, key, payload, code, reason
):
    with WebSocket(server, f"/echo?{key}") as websocket:
        websocket.send_frame(CLOSE, payload)
        opcode, answer = websocket.read_frame()
        assert opcode == CLOSE
        assert answer[:2] == payload[:2]
        with pytest.raises(Closed):
            websocket.read_frame()
    event = journal.next(key)
    assert event["type"] == "websocket.disconnect"
    assert event["code"] == code
    assert (event.get("reason") or "") == reason


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_connection_that_is_lost_is_a_disconnect(server, journal, key, end):
    with WebSocket(server, f"/echo?{key}") as websocket:
        if end == "reset":
            websocket.reset()
    event = journal.next(key)
    assert event["type"] == "websocket.disconnect"
    # RFC 6455 has 1006 for this. uvicorn says 1005.
    assert event["code"] in (1005, 1006)


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "going"), (3000, "own code"), (4999, "größer")]
)
def test_the_application_closes_with_its_code_and_reason(server, code, reason):
    websocket = server.websocket(f"/closes?{code}&{quote(reason)}")
    with websocket, pytest.raises(ConnectionClosed) as closed:
        websocket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


def test_a_close_without_code_is_1000(server):
    with WebSocket(server, "/closes_without_code") as websocket:
        assert websocket.read_close() == 1000


def test_receive_after_the_close_of_the_application_tells_the_disconnect(server, journal, key):
    with WebSocket(server, f"/receives_after_its_close?{key}") as websocket:
        assert websocket.read_close() == 3000
        websocket.send_frame(CLOSE, b"\x0b\xb8")
        assert journal.next(key) == "websocket.disconnect"


def test_a_send_after_the_close_of_the_application_is_not_sent(server, journal, key):
    server.expect_error_at("/sends_after_its_close")
    with WebSocket(server, f"/sends_after_its_close?{key}") as websocket:
        assert websocket.read_frame()[0] == CLOSE
        websocket.send_frame(CLOSE, b"\x03\xe8")
        assert websocket.read_to_end() == b""
    journal.next(key)


@pytest.mark.parametrize("end", ["frame", "lost"])
def test_a_send_after_the_disconnect_has_no_effect_or_raises_an_oserror(server, journal, key, end):
    with WebSocket(server, f"/sends_after_disconnect?{key}") as websocket:
        if end == "frame":
            websocket.send_frame(CLOSE, b"\x03\xe8")
            assert websocket.read_close() == 1000
    assert journal.next(key) in ("no effect", "OSError")


def test_a_client_that_goes_while_the_application_sends(server, journal, key):
    with WebSocket(server, f"/sends_without_end?{key}") as websocket:
        assert websocket.read_frame()[0] == BINARY
        websocket.reset()
    assert journal.next(key) == "websocket.disconnect"


def test_messages_before_the_close_frame_are_received(server, journal, key):
    with WebSocket(server, f"/reads_late?{key}") as websocket:
        assert journal.next(key) == "accepted"
        for text in (b"one", b"two", b"three"):
            websocket.send_frame(TEXT, text)
        websocket.send_frame(CLOSE, b"\x03\xe8")
        with server.websocket("/release"):
            pass
        assert [journal.next(key) for _ in range(4)] == [
            "one",
            "two",
            "three",
            "websocket.disconnect",
        ]


def test_an_application_that_returns_closes(server):
    with WebSocket(server, "/returns_after_accept") as websocket:
        assert websocket.read_close() in (1000, 1006)


def test_a_value_that_the_application_returns_does_not_change_the_messages(server):
    server.expect_error_at("/returns_a_value")
    with server.websocket("/returns_a_value") as websocket:
        assert websocket.recv() == "text"
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv()
    assert closed.value.rcvd.code == 1000


def test_an_exception_after_the_handshake_closes(server):
    server.expect_error("raised after the handshake")
    with WebSocket(server, "/raises_after_accept") as websocket:
        assert websocket.read_close() in (1006, 1011)
    server.wait_for_output("RuntimeError: raised after the handshake")


def test_sigterm_closes_with_1012(serve, journal, key):
    server = serve("raw_websocket:app")
    with server.websocket(f"/echo?{key}") as websocket:
        server.signal()
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv()
    assert closed.value.rcvd.code == 1012
    event = journal.next(key)
    assert (event["type"], event["code"]) == ("websocket.disconnect", 1012)
    server.wait_until_ended()


def test_messages_that_the_application_does_not_receive_are_not_taken_without_bound(server):
    with WebSocket(server, "/sleeps_until_wake") as websocket:
        websocket.socket.settimeout(0.5)
        octets, sent = frame(BINARY, b"x" * 2**16), 0
        with pytest.raises(socket.timeout):
            while True:
                sent += websocket.socket.send(octets)
                assert sent < 2**25, (
                    "the server has taken 32 MiB that the application has not received"
                )
    wake(server)
