"""Replacing the process by SIGUSR2, and what a manager of services such as systemd gives and is told."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest
from conftest import PATIENCE, SERVER
from test_processes import Load
from wire import Connection, get

pytestmark = pytest.mark.skipif(SERVER != "callgate", reason="the signal is that of callgate")

WORKERS = pytest.mark.parametrize("workers", [1, 2])

# An application that answers with its version, or fails, or never starts.
APP = """
import os, threading

VERSION = {version!r}

if VERSION == "broken":
    raise RuntimeError("this version is broken")
if VERSION == "hangs":
    threading.Event().wait()

async def app(scope, receive, send):
    assert scope["type"] == "http"
    head = [(b"content-length", str(len(VERSION)).encode()), (b"x-process", str(os.getpid()).encode())]
    await send({{"type": "http.response.start", "status": 200, "headers": head}})
    await send({{"type": "http.response.body", "body": VERSION.encode()}})
"""


class Upgraded:
    """A server that is replaced, and the processes that serve in its place."""

    def __init__(self, server):
        self.server = server
        self.pid = server.process.pid
        self.seen = 0

    def signal(self, number=signal.SIGUSR2):
        os.kill(self.pid, number)

    def wait_for(self, text):
        """Waits until the text has been printed since the last call, and returns what its groups match."""
        pattern, server, deadline = re.compile(text), self.server, time.monotonic() + 4 * PATIENCE
        with server.more_output:
            while not (found := pattern.search(server.output, self.seen)):
                assert server.more_output.wait(deadline - time.monotonic()), server.output
            self.seen = found.end()
            return found.groups()

    def upgrade(self):
        """Replaces the process, and waits until the new one has taken over."""
        self.signal()
        self.wait_for_successor()

    def wait_for_successor(self):
        [successor], begun = self.wait_for(r"starting process (\d+) as successor"), self.seen
        self.wait_for(rf"this process has taken over from process {self.pid}\n")
        # The old process says what it does meanwhile.
        self.pid, self.seen = int(successor), begun

    def stop(self):
        """Ends the process that serves, and waits for its end and that of all others."""
        self.server.close_client()
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGTERM)
        self.server.reader.join(2 * PATIENCE)
        is_over = not self.server.reader.is_alive()
        self.server.clean_up()
        assert is_over, self.server.output
        self.server.check_output()


@pytest.fixture
def upgraded(serve, servers):
    """Starts a server that is replaced."""
    started = []

    def upgraded(*arguments, **options):
        started.append(Upgraded(serve(*arguments, **options)))
        return started[-1]

    yield upgraded
    for each in started:
        servers.running.remove(each.server)
        each.stop()


@pytest.fixture
def changing(tmp_path, upgraded):
    """Starts a server of an application whose version changes."""

    def change(version):
        (tmp_path / "changing.py").write_text(APP.format(version=version))
        # The time in the compiled file has seconds only.
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)

    def start(workers, *flags):
        change("one")
        server = upgraded("changing:app", "--workers", str(workers), *flags, cwd=tmp_path)
        # Each worker has imported this version.
        for _ in range(workers):
            server.wait_for("Callgate running on")
        return server

    start.change = change
    return start


def ask(upgraded):
    return httpx.get(upgraded.server.url, trust_env=False).text


@WORKERS
@pytest.mark.every_loop
def test_no_request_fails_while_the_process_is_replaced(upgraded, workers):
    server = upgraded("process_id:keeps", "--workers", str(workers))
    with Load(server.server) as load:
        for _ in range(3):
            load.wait_for_answers(50)
            before = set(load.workers)
            server.upgrade()
            deadline = time.monotonic() + 3 * PATIENCE
            while len(load.workers - before) < workers:
                assert time.monotonic() < deadline, server.server.output
                load.wait_for_answers(1)
    assert load.failures == []


@WORKERS
def test_the_new_process_has_the_new_version(changing, workers):
    server = changing(workers)
    assert ask(server) == "one"
    changing.change("two")
    server.upgrade()
    # The old process drains, and answers no new connection once it has begun to.
    server.wait_for("Callgate is stopping")
    assert ask(server) == "two"
    assert server.server.process.wait(PATIENCE) == 0


@WORKERS
def test_a_new_version_that_fails_leaves_the_old_one_serving(changing, workers):
    server = changing(workers)
    server.server.expect_error("this version is broken")
    changing.change("broken")
    server.signal()
    [reason] = server.wait_for("the upgrade has failed, and this process goes on: (.*)\n")
    assert reason == "importing `changing` raised an exception:"
    assert ask(server) == "one"
    # The next attempt is another.
    changing.change("two")
    server.upgrade()
    server.wait_for("Callgate is stopping")
    assert ask(server) == "two"


@WORKERS
def test_a_new_version_that_never_starts_is_ended_after_a_time(changing, workers):
    server = changing(workers, "--timeout-upgrade", "0.5")
    server.server.expect_error("")
    changing.change("hangs")
    server.signal()
    server.wait_for("the upgrade has failed, .*: the successor was not ready in time")
    assert ask(server) == "one"


@WORKERS
def test_a_second_signal_has_no_effect_and_sigterm_ends_both_processes(changing, workers):
    server = changing(workers)
    changing.change("hangs")
    server.signal()
    server.wait_for(r"starting process \d+ as successor")
    server.signal()
    server.wait_for("SIGUSR2 has no effect during an upgrade of this process")
    assert server.server.output.count("as successor") == 1
    # Waits for the end of each process that has the output open.
    server.stop()


def test_a_successor_without_workers_has_the_signals(upgraded, tmp_path):
    """The process before it has blocked them, to wait for them."""
    config = tmp_path / "server.toml"
    config.write_text("process.limit-max-requests = 1000\n")
    server = upgraded("process_id:app", "--config", str(config))
    server.wait_for("Callgate running on")
    config.write_text("")
    server.upgrade()
    assert int(ask(server)) == server.pid
    # Fails unless SIGTERM ends the process.
    server.stop()


def test_a_request_in_flight_is_completed(upgraded, journal, key):
    server = upgraded("process_id:slow", env={"CALLGATE_TEST_KEY": key})
    with Connection(server.server) as connection:
        connection.send(get("/"))
        assert journal.next(key) == "called"
        server.upgrade()
        assert connection.read_response().body == b"slow"


@WORKERS
def test_a_process_that_was_replaced_is_not_hurried_by_its_first_signal(
    upgraded, journal, key, workers
):
    env = {"CALLGATE_TEST_KEY": key}
    server = upgraded("raw_shutdown:app", "--workers", str(workers), env=env)
    with Connection(server.server) as connection:
        connection.send(get("/echo", "Content-Length: 10", method="POST") + b"0")
        assert journal.next(key) == b"0"
        before = server.pid
        server.upgrade()
        os.kill(before, signal.SIGTERM)
        for end in range(2, 11):
            connection.send(b"0123456789"[end - 1 : end])
            told = journal.next(key)
            while told == "shutdown":  # of a worker without a call
                told = journal.next(key)
            assert told == b"0123456789"[:end]
            time.sleep(0.01)
        assert connection.read_response().body == b"0123456789"


@WORKERS
def test_the_files_belong_to_the_process_that_serves(servers, tmp_path, workers):
    path, pid = tmp_path / "socket", tmp_path / "pid"
    flags = ["--workers", str(workers), "--pid", str(pid), "--uds", str(path)]
    server = Upgraded(servers.start("process_id:app", *flags))
    server.wait_for("Callgate running on")
    assert pid.read_text() == f"{server.pid}\n"
    first = server.pid
    for _ in range(2):
        server.upgrade()
        server.wait_for("Callgate has stopped")
        assert pid.read_text() == f"{server.pid}\n"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://localhost/").status_code == 200
    assert server.pid != first
    servers.running.remove(server.server)
    server.stop()
    assert not path.exists()
    assert not pid.exists()


def test_links_that_lead_elsewhere_are_followed(upgraded, tmp_path):
    for version in ("one", "two"):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "changing.py").write_text(APP.format(version=version))
    current = tmp_path / "current"
    current.symlink_to("one")
    server = upgraded("changing:app", cwd=current, env={"PWD": str(current)})
    server.wait_for("Callgate running on")
    assert ask(server) == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(current)
    server.upgrade()
    server.wait_for("Callgate is stopping")
    assert ask(server) == "two"


def test_the_interpreter_is_that_beside_the_program_that_was_started(tmp_path, monkeypatch):
    from callgate._upgrade import interpreter

    folder = tmp_path / "one" / "bin"
    folder.mkdir(parents=True)
    (tmp_path / "current").symlink_to("one")
    monkeypatch.setattr(sys, "executable", str(folder / "python3"))
    for argument, expected in {
        f"{tmp_path}/current/bin/callgate": f"{tmp_path}/current/bin/python3",
        f"{tmp_path}/program.py": f"{folder}/python3",
        "-m": f"{folder}/python3",
    }.items():
        monkeypatch.setattr(sys, "orig_argv", ["python3", argument, "main:app"])
        assert interpreter() == expected


def test_a_program_is_started_again(tmp_path, servers, upgraded, serve):
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom process_id import app\nimport callgate\n"
        "callgate.run(app, host='127.0.0.1', port=int(sys.argv[1]))\n"
    )
    apps = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps")
    servers.command = lambda *_: [servers.python, str(program)]
    # The harness adds the address at the end: the port is the last argument.
    program.write_text(program.read_text().replace("sys.argv[1]", "sys.argv[-1]"))
    server = upgraded("-", env={"PYTHONPATH": apps})
    before = int(ask(server))
    server.upgrade()
    server.wait_for("Callgate is stopping")
    assert int(ask(server)) == server.pid != before


# What systemd gives and is told.


@pytest.fixture
def notifications(tmp_path):
    """The socket that a manager of services listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications:
        notifications.bind(str(tmp_path / "notify"))
        notifications.settimeout(2 * PATIENCE)
        yield notifications


def told(notifications):
    return notifications.recv(4096).decode().split("\n")


@WORKERS
def test_systemd_is_told_what_the_process_does(changing, notifications, workers, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", notifications.getsockname())
    server = changing(workers)
    assert told(notifications) == ["READY=1"]

    server.server.expect_error("this version is broken")
    changing.change("broken")
    server.signal()
    reloading, now = told(notifications)
    assert reloading == "RELOADING=1"
    since = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - int(
        now.removeprefix("MONOTONIC_USEC=")
    )
    assert 0 < since < 60e6
    assert told(notifications) == ["READY=1"]

    server.wait_for("the upgrade has failed")
    changing.change("two")
    server.upgrade()
    assert told(notifications)[0] == "RELOADING=1"
    assert told(notifications) == [f"MAINPID={server.pid}", "READY=1"]
    server.signal(signal.SIGTERM)
    assert told(notifications) == ["STOPPING=1"]


def test_systemd_is_told_when_the_workers_are_replaced(upgraded, notifications, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", notifications.getsockname())
    server = upgraded("process_id:app", "--workers", "2")
    assert told(notifications) == ["READY=1"]
    server.signal(signal.SIGHUP)
    assert told(notifications)[0] == "RELOADING=1"
    assert told(notifications) == ["READY=1"]


@WORKERS
def test_systemd_is_told_that_a_process_lives_that_it_watches(
    upgraded, notifications, workers, monkeypatch
):
    monkeypatch.setenv("NOTIFY_SOCKET", notifications.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    upgraded("process_id:app", "--workers", str(workers))
    seen, deadline = [], time.monotonic() + 2 * PATIENCE
    while seen.count(["WATCHDOG=1"]) < 3 or ["READY=1"] not in seen:
        assert time.monotonic() < deadline, seen
        seen.append(told(notifications))
        assert seen[-1] in (["WATCHDOG=1"], ["READY=1"])
    assert seen.count(["READY=1"]) == 1


# Starts a program as systemd does: with the sockets from descriptor 3 on, and with variables that name the process.
ACTIVATE = """
import fcntl, os, sys

sockets = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, socket in enumerate(sockets, 3):
    os.dup2(socket, number)
os.environ |= {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[3], sys.argv[3:])
"""


@WORKERS
def test_the_sockets_of_systemd_are_served_and_passed_on(servers, tmp_path, workers):
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        ports = [tcp.getsockname()[1]]
        process = subprocess.Popen(
            [sys.executable, "-c", ACTIVATE, str(tcp.fileno()), str(unix.fileno())]
            + servers.command("process_id:app", ["--workers", str(workers)], None),
            env=servers.environment({}),
            pass_fds=[tcp.fileno(), unix.fileno()],
            start_new_session=True,
        )
        tcp.close()

        def ask():
            with httpx.Client(trust_env=False) as client:
                over_tcp = client.get(f"http://127.0.0.1:{ports[0]}/").text
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
                return int(over_tcp), int(client.get("http://localhost/").text)

        try:
            first = ask()
            if workers == 1:
                assert first == (process.pid, process.pid)
            process.send_signal(signal.SIGUSR2)
            # The first process has handed over, and has ended.
            assert process.wait(4 * PATIENCE) == 0
            assert not set(ask()) & set(first)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        assert path.exists(), "the socket belongs to systemd"
