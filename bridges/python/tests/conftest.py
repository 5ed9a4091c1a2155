"""Servers as processes, and what their applications tell the tests.

In an environment with the packages of `requirements.txt` and with the server:

    cargo xtask redis cargo xtask postgres python -m pytest bridges/python/tests

`CALLGATE_TEST_SERVER` names the server under test: `callgate`, the default, or `uvicorn`, which the
tests are checked with. What uvicorn does not do as a test demands is marked with `uvicorn_fails`.
The tests marked with `every_loop` run on each event loop, the others on uvloop; `--every-loop` runs all on each, and
`--loop asyncio` all on this one. `CALLGATE_TEST_BOCADILLO` names the Python of an environment by `requirements-bocadillo.txt`. Without a
service or an environment, the tests that need it are skipped.
"""

import ast
import contextlib
import importlib.util
import os
import queue
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect as websocket_connect

SERVER = os.environ.get("CALLGATE_TEST_SERVER", "callgate")
APPS = Path(__file__).parent / "apps"

# The longest time in seconds that a test waits for what must happen.
PATIENCE = 15

# The time in seconds in which a server must have stopped after SIGTERM.
STOP_TIMEOUT = 20

LOOPS = ("uvloop", "asyncio")


def pytest_addoption(parser):
    parser.addoption(
        "--loop", choices=LOOPS, action="append", help="the event loop to run the tests on"
    )
    parser.addoption("--every-loop", action="store_true", help="run every test on each event loop")


def pytest_configure(config):
    # The servers are stopped as well when the tests are ended from outside.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Servers inherit what `nohup` before the tests has set.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if importlib.util.find_spec(SERVER) is None:
        pytest.exit(
            f"there is no package {SERVER} in this environment: install it, or name another server",
            4,
        )
    config.addinivalue_line("markers", "every_loop: runs on each event loop")
    config.addinivalue_line(
        "markers", "uvicorn_fails(reason): what uvicorn does not do as this test demands"
    )
    config.addinivalue_line(
        "markers", "callgate_differs(reason): what callgate does in another way, and why"
    )


def pytest_generate_tests(metafunc):
    if "loop" in metafunc.fixturenames:
        config = metafunc.config
        depends_on_loop = metafunc.definition.get_closest_marker("every_loop") is not None
        loops = LOOPS if depends_on_loop or config.getoption("--every-loop") else LOOPS[:1]
        metafunc.parametrize("loop", config.getoption("--loop") or loops, scope="session")


def pytest_collection_modifyitems(items):
    for item in items:
        for server, name in (("uvicorn", "uvicorn_fails"), ("callgate", "callgate_differs")):
            mark = item.get_closest_marker(name)
            if mark and server == SERVER:
                item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=True))


class Journal:
    """What the applications of this test tell, see `apps/journal.py`: facts, each under a key of the test."""

    def __init__(self, directory):
        self.path = str(directory / "journal")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.facts = defaultdict(queue.Queue)
        # Two threads that made the queue of a key at once would have one each.
        self.lock = threading.Lock()
        self.keys = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            key, _, fact = self.socket.recv(2**20).decode().partition("\n")
            self._of(key).put(fact)

    def _of(self, key):
        with self.lock:
            return self.facts[key]

    def key(self):
        """Returns a key that no call before has used."""
        self.keys += 1
        return f"key{self.keys}"

    def next(self, key, timeout=PATIENCE):
        """Returns the next fact under a key, and waits for it."""
        try:
            # Read here and not in the thread: two threads cannot parse at once in Python 3.11.
            return ast.literal_eval(self._of(key).get(timeout=timeout))
        except queue.Empty:
            raise AssertionError(
                f"the application has told nothing under {key} within {timeout} s"
            ) from None

    def heard(self, key):
        """Returns whether there is a fact under a key that no test has taken."""
        return not self._of(key).empty()


@pytest.fixture(scope="session")
def journal(tmp_path_factory):
    return Journal(tmp_path_factory.mktemp("journal"))


# The ports below those that the system gives to clients. Each process of the tests has its part of them: another
# process could take a port before the server does.
FIRST_PORT, LAST_PORT = 20_000, 32_000


def free_port():
    """Returns a port of this process that nobody listens on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    part = (LAST_PORT - FIRST_PORT) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first = FIRST_PORT + worker * part
    while True:
        port = random.randrange(first, first + part)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


# A server ends with the process of its tests, however that ends, where the system can do so.
WITH_THE_TESTS = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


# What a record of the log has that is an error, or what is printed after it.
MARKS_OF_ERRORS = ("ERROR", "Traceback (most", "Exception ignored", "never awaited")

# Where a record of the log begins: with the time, or with the level as uvicorn has it.
RECORD = re.compile(r"^(?=\d{4}-\d\d-\d\d |[A-Z]+: )", re.MULTILINE)


class Server:
    """A server as a process of its own, and what it has printed."""

    def __init__(self, command, environment, cwd):
        self.command = command
        self.expected_errors = []
        # Whether a test has it end, by a signal or otherwise.
        self.is_to_end = False
        self.output = ""
        self.checked = 0
        self.more_output = threading.Condition()
        self.process = subprocess.Popen(
            [*WITH_THE_TESTS, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while octets := os.read(self.process.stdout.fileno(), 2**16):
            with self.more_output:
                self.output += octets.decode(errors="replace")
                self.more_output.notify_all()

    def wait_for_output(self, text, times=1):
        with self.more_output:
            if not self.more_output.wait_for(
                lambda: self.output.count(text) >= times, timeout=PATIENCE
            ):
                raise AssertionError(f"the server has not printed {text!r}, but:\n{self.output}")

    def wait_until_ended(self):
        """Returns the exit code of a server that is to end by itself, or that a signal has told to."""
        code = self.process.wait(timeout=PATIENCE)
        self.is_to_end = True
        self.clean_up()
        return code

    def clean_up(self):
        """Ends the processes that the application has left behind, which hold the output open."""
        if self.reader.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.reader.join()

    def expect_error(self, text, only=SERVER):
        """Makes an error with this text in its traceback, or in its line, no failure of this test and of those that come after it
        with the same server: the line may come late."""
        if only == SERVER:
            self.expected_errors.append(text)

    def expect_error_at(self, path):
        """Makes an error in the line about a request to this path no failure of the test. Other servers do not name the path."""
        self.expect_error(path if SERVER == "callgate" else "")

    def check_output(self):
        """Raises unless every error since the last check is one that a test expects."""
        with self.more_output:
            new, self.checked = self.output[self.checked :], len(self.output)
        for record in RECORD.split(new):
            if any(mark in record for mark in MARKS_OF_ERRORS) and not any(
                text in record for text in self.expected_errors
            ):
                raise AssertionError(f"the server has logged an error that no test expects:\n{new}")

    def signal(self, number=signal.SIGTERM):
        self.is_to_end |= number not in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)
        self.process.send_signal(number)

    def stop(self):
        """Stops the server by SIGTERM, and checks what it has printed."""
        self.signal()
        try:
            code = self.process.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.clean_up()
            raise AssertionError(
                f"the server has not stopped {STOP_TIMEOUT} s after SIGTERM:\n{self.output}"
            ) from None
        self.clean_up()
        # A server that ends by the signal itself, as uvicorn does, has stopped as well.
        assert code in (0, -signal.SIGTERM), f"the server has ended with {code}:\n{self.output}"
        self.check_output()

    def memory(self, field="VmRSS"):
        """Returns the resident memory of the server in bytes; the highest so far by `VmHWM`."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            pytest.skip("the memory of a process is read from /proc, which is not here")
        [line] = [line for line in status.read_text().splitlines() if line.startswith(field + ":")]
        return int(line.split()[1]) * 1024


class TcpServer(Server):
    def __init__(self, command, environment, cwd, port):
        address = [] if "--uds" in command else ["--host", "127.0.0.1", "--port", str(port)]
        super().__init__([*command, *address], environment, cwd)
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)
        # The file with the certificate of a server that speaks TLS.
        self.certificate = None

    def stop(self):
        self.close_client()
        super().stop()

    def wait_until_ended(self):
        self.close_client()
        return super().wait_until_ended()

    def close_client(self):
        """Closes the idle connections of the client, whose end it would not read: the server lingers for that."""
        self.client.close()

    def connect(self, protocol):
        """Returns a socket that is connected to the server, for octets of this protocol."""
        plain = socket.create_connection(self.address, timeout=PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.certificate is None:
            return plain
        context = ssl.create_default_context(cafile=self.certificate)
        context.set_alpn_protocols([protocol])
        return context.wrap_socket(plain, server_hostname="localhost")

    def wait_until_it_accepts(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self.clean_up()
                raise AssertionError(
                    f"the server has ended with {self.process.returncode}:\n{self.output}"
                )
            # No event tells that another process has begun to listen.
            with contextlib.suppress(OSError), socket.create_connection(self.address):
                return
            time.sleep(0.01)
        self.clean_up()
        raise AssertionError(f"the server does not accept:\n{self.output}")

    def websocket(self, path, **options):
        """Returns a WebSocket to the server."""
        return websocket_connect(self.ws_url + path, proxy=None, open_timeout=PATIENCE, **options)


class Servers:
    """The servers that one test, or one module of tests, has started."""

    def __init__(self, journal, loop):
        self.journal = journal
        self.loop = loop
        self.python = sys.executable
        self.running = []

    def command(self, target, flags, cwd):
        # Without `--app-dir`, applications are looked for where the server is started.
        directory = [] if cwd or "--app-dir" in flags else ["--app-dir", str(APPS)]
        return [self.python, "-m", SERVER, target, *directory, "--loop", self.loop, *flags]

    def environment(self, env):
        inherited = {
            name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
        }
        inherited.pop("CALLGATE_TEST_SERVER", None)
        return (
            inherited
            | {"CALLGATE_TEST_JOURNAL": self.journal.path, "PYTHONUNBUFFERED": "1"}
            | (env or {})
        )

    def serve(self, target, *flags, env=None, cwd=None):
        """Starts a server on a free port of loopback, and returns it when it accepts connections."""
        server = TcpServer(
            self.command(target, flags, cwd), self.environment(env), cwd, free_port()
        )
        self.running.append(server)
        server.wait_until_it_accepts()
        return server

    def start(self, target, *flags, env=None, cwd=None, port=None):
        """Starts a server, and does not wait until it serves: it may be one that fails to start."""
        server = TcpServer(
            self.command(target, flags, cwd), self.environment(env), cwd, port or free_port()
        )
        self.running.append(server)
        return server

    def check_output(self):
        for server in self.running:
            server.check_output()

    def stop(self):
        failures = []
        for server in self.running:
            try:
                if server.process.poll() is None:
                    server.stop()
                else:
                    server.close_client()
                    server.clean_up()
                    server.check_output()
                    assert server.is_to_end, f"the server has ended by itself:\n{server.output}"
            except AssertionError as failure:
                failures.append(str(failure))
        assert not failures, "\n".join(failures)


@pytest.fixture
def servers(journal, loop):
    """The servers of one test: `servers.serve("module:app", *flags, env=..., cwd=...)`."""
    servers = Servers(journal, loop)
    yield servers
    servers.stop()


@pytest.fixture
def serve(servers):
    return servers.serve


@pytest.fixture(scope="module")
def servers_of_module(journal, loop):
    servers = Servers(journal, loop)
    yield servers
    servers.stop()


@pytest.fixture(scope="module")
def serve_for_module(servers_of_module):
    """Starts a server that all tests of a module share."""
    return servers_of_module.serve


@pytest.fixture(autouse=True)
def no_unexpected_errors(request):
    """Checks, after each test, what the servers of its module have printed."""
    yield
    if "servers_of_module" in request.fixturenames:
        request.getfixturevalue("servers_of_module").check_output()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a key and of its certificate for this machine."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl, which makes the certificate")
    directory = tmp_path_factory.mktemp("tls")
    key, certificate = str(directory / "key.pem"), str(directory / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", key, "-out", certificate, "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


@pytest.fixture
def key(journal):
    """A key for what the application of this test tells."""
    return journal.key()


def service(variable, name):
    """Returns the URL of a service that `cargo xtask` starts, or skips the test."""
    url = os.environ.get(variable)
    if not url:
        pytest.skip(f"no {variable}: `cargo xtask {name} COMMAND` runs a command with one")
    return url


@pytest.fixture(scope="session")
def postgres_url():
    return service("CALLGATE_POSTGRES_URL", "postgres")


@pytest.fixture(scope="session")
def redis_url():
    return service("CALLGATE_REDIS_URL", "redis")
