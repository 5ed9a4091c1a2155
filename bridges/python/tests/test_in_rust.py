"""The example of a program in Rust: routes of axum, and an application of FastAPI, behind one port.

`CALLGATE_TEST_EXAMPLE` names the program, which `cargo build -p callgate-python-example` has built.
"""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import PATIENCE, SERVER, TcpServer, free_port
from websockets.exceptions import ConnectionClosedError, InvalidStatus

pytestmark = pytest.mark.skipif(SERVER != "callgate", reason="the program has its own server")


@pytest.fixture
def program():
    return os.environ.get("CALLGATE_TEST_EXAMPLE") or pytest.skip("no CALLGATE_TEST_EXAMPLE")


@pytest.fixture
def start(program):
    """Starts the program, and returns it when it serves."""
    running = []

    def start(*flags):
        server = TcpServer(
            [program, *flags], os.environ | {"VIRTUAL_ENV": sys.prefix}, None, free_port()
        )
        running.append(server)
        server.wait_until_it_accepts()
        return server

    yield start
    for server in running:
        if server.process.poll() is None:
            server.stop()
        server.client.close()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--help"], 0, "--bind"),
        (["config"], 0, "[listen]"),
        (["--no-such-flag"], 2, "--no-such-flag"),
        ([], 1, "VIRTUAL_ENV"),
    ],
)
def test_python_is_loaded_to_serve_and_for_nothing_else(program, arguments, status, text):
    environment = os.environ | {"VIRTUAL_ENV": "/no/environment"}
    ended = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == status
    assert text in ended.stdout + ended.stderr


def test_both_parts_are_served_with_the_state_of_their_lifespans(start):
    server = start()
    assert server.client.get("/").json() == {"message": "Hello from Python"}
    assert server.client.get("/rust/uptime").text.endswith(" s\n")
    assert server.client.get("/nothing").json() == {"detail": "Not Found"}
    assert server.client.get("/rust/nothing").status_code == 404


def test_a_websocket_of_python_is_served_and_its_limit_is_that_of_the_server(start):
    server = start("--ws-max-size", "1000")
    with server.websocket("/echo") as websocket:
        for number in range(100):
            websocket.send(f"message {number}")
            assert websocket.recv() == f"message {number}"
        websocket.send("x" * 1001)
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.recv()
        assert closed.value.rcvd.code == 1009
    with pytest.raises(InvalidStatus):
        server.websocket("/rust/uptime")


@pytest.mark.parametrize("path", ["/length", "/rust/length"])
def test_the_limit_of_content_holds_for_both_parts(start, path):
    server = start("--max-request-body", "1000")
    assert server.client.post(path, content=b"x" * 1000).text.strip() == "1000"
    assert server.client.post(path, content=b"x" * 1001).status_code == 413


def test_many_clients_at_a_time_are_served_by_both_parts(start):
    server = start()

    def ask(number):
        if number % 2:
            return server.client.get("/rust/uptime").text.endswith(" s\n")
        return server.client.get("/").json() == {"message": "Hello from Python"}

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(400)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_shuts_both_parts_down(start, number):
    server = start()
    # A signal before that ends the start-up.
    server.wait_for_output("Callgate running on")
    assert "Python has started" in server.output
    server.signal(number)
    assert server.wait_until_ended() == 0
    assert "Python has ended" in server.output
    server.check_output()


def test_without_its_packages_the_program_says_why_it_does_not_start(start):
    program = os.environ["CALLGATE_TEST_EXAMPLE"]
    environment = os.environ | {"VIRTUAL_ENV": "/nowhere"}
    server = TcpServer([program], environment, None, free_port())
    assert server.wait_until_ended() == 1
    assert server.output.startswith("error: /nowhere (VIRTUAL_ENV) is no environment of python3.")
    server.client.close()
