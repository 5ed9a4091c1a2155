"""Processes: those that an application starts, and workers that die or are replaced while they are asked."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import APPS, PATIENCE, SERVER
from wire import Closed, Connection, get

pytestmark = pytest.mark.every_loop

CLIENTS = 6


@pytest.fixture(scope="module")
def server(serve_for_module):
    return serve_for_module("forks:app")


ANSWERS = {"/fork": "forked", "/run": "run", "/processes": "[42, 42]", "/pool": "42"}


@pytest.mark.parametrize("path", ANSWERS)
def test_a_request_may_start_processes(server, path):
    with Connection(server) as connection:
        for _ in range(3):
            assert connection.ask(get(path)).body.decode() == ANSWERS[path]


def test_many_requests_may_start_processes_at_once(server):
    paths = [path for path in ANSWERS if path != "/processes"] * 10
    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = threads.map(lambda path: server.client.get(path).text, paths)
        assert list(answers) == [ANSWERS[path] for path in paths]


@pytest.mark.uvicorn_fails("closes its own end only, which the child has open as well")
def test_a_connection_ends_although_a_child_has_inherited_it(server):
    with Connection(server) as connection:
        connection.send(get("/outlive", "Connection: close"))
        child = int(connection.read_response().body)
        try:
            connection.read_to_end()
        finally:
            os.kill(child, signal.SIGKILL)


class Load:
    """Clients that ask all the time, each over a connection of its own, which it keeps for some requests."""

    def __init__(self, server):
        self.server = server
        self.has_ended = threading.Event()
        self.answers = 0
        # The worker whose connection has ended before its answer (None if it had not answered before), and from when to
        # when the connection was there.
        self.failures = []
        self.workers = set()
        self.threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.has_ended.set()
        for thread in self.threads:
            thread.join()

    def _ask(self):
        dice = random.Random(threading.get_ident())
        while not self.has_ended.is_set():
            worker = None
            began = asked = time.monotonic()
            try:
                with Connection(self.server) as connection:
                    for _ in range(dice.randrange(1, 20)):
                        previous, asked, sent = asked, time.monotonic(), None
                        connection.send(get("/"))
                        sent = time.monotonic()
                        response = connection.read_response()
                        worker = int(response.body)
                        self.workers.add(worker)
                        self.answers += 1
                        if response.get(b"connection") == [b"close"]:
                            break
            except (Closed, OSError):
                # A connection that has been idle for a second may be closed when its client asks.
                if worker is None or (sent or time.monotonic()) - previous < 1:
                    self.failures.append((worker, began, time.monotonic()))

    def wait_for_answers(self, count):
        """Waits until so many more requests are answered."""
        wanted, deadline = self.answers + count, time.monotonic() + 2 * PATIENCE
        while self.answers < wanted:
            assert time.monotonic() < deadline, self.server.output
            # No event tells what the threads have read.
            time.sleep(0.001)


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn replaces a worker that dies later")
def test_only_requests_of_a_worker_that_is_killed_fail(serve):
    server = serve("process_id:keeps", "--workers", "3")
    server.expect_error("")
    dice = random.Random(1)
    killed = {}
    with Load(server) as load:
        load.wait_for_answers(200)
        for _ in range(5):
            worker = dice.choice(sorted(load.workers - killed.keys()))
            killed[worker] = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            load.wait_for_answers(dice.randrange(20, 200))
    for worker, began, failed in load.failures:
        if worker is None:
            assert any(began < time_of_kill < failed for time_of_kill in killed.values())
        else:
            assert worker in killed
            assert killed[worker] < failed


@pytest.mark.skipif(
    SERVER != "callgate", reason="uvicorn stops its workers before it starts new ones"
)
def test_no_request_fails_while_the_workers_are_replaced(serve):
    server = serve("process_id:keeps", "--workers", "2")
    with Load(server) as load:
        for _ in range(3):
            before = set(load.workers)
            load.wait_for_answers(50)
            server.signal(signal.SIGHUP)
            deadline = time.monotonic() + 3 * PATIENCE
            while len(load.workers - before) < 2:
                assert time.monotonic() < deadline, server.output
                load.wait_for_answers(1)
    assert load.failures == []


@pytest.mark.skipif(
    SERVER != "callgate", reason="uvicorn stops a worker before it starts its successor"
)
def test_no_request_fails_while_workers_retire(serve):
    flags = ["--limit-max-requests", "50", "--limit-max-requests-jitter", "10"]
    server = serve("process_id:keeps", "--workers", "2", *flags)
    with Load(server) as load:
        deadline = time.monotonic() + 4 * PATIENCE
        while len(load.workers) < 6:
            assert time.monotonic() < deadline, server.output
            load.wait_for_answers(1)
    assert load.failures == []
    assert "the server is to be replaced, because" in server.output


@pytest.mark.skipif(SERVER != "callgate", reason="the flag is that of callgate")
def test_workers_do_not_draw_the_same_random_numbers(serve):
    server = serve("process_id:app", "--workers", "4", "--request-id", "--access-log")
    workers, count = set(), 0
    while len(workers) < 4 or count < 40:
        with Connection(server) as connection:
            workers.add(connection.ask(get("/")).body)
            count += 1
    server.stop()
    identifiers = re.findall(r"request_id=\"?([0-9a-f]{32})", server.output)
    assert len(identifiers) == count
    assert len(set(identifiers)) == count


@pytest.mark.skipif(SERVER != "callgate", reason="this is a part of callgate")
def test_a_signal_counts_once_when_another_comes_with_it(loop):
    command = [sys.executable, str(APPS / "counts_signals.py"), loop]
    result = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert (result.stdout, result.stderr) == ("50\n", "")


# The end by the application.


@pytest.mark.skipif(SERVER != "callgate", reason="this is about steps that callgate takes")
@pytest.mark.parametrize("path", ["/at_once", "/later", "/after_content", "/in_child"])
def test_an_application_may_end_its_process(serve, path):
    server = serve("exits:app")
    assert server.client.get("/").text == "hello"
    server.expect_error("")
    with Connection(server) as connection:
        # The content comes when the application waits for it.
        connection.send(get(path, "Content-Length: 5", method="POST"))
        time.sleep(0.1)
        connection.send(b"hello")
        connection.read_to_end()
    assert server.wait_until_ended() == 7
    assert "closed\n" in server.output
    assert "was destroyed" not in server.output


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn starts workers again and again")
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)
@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        ("", 0, ""),
        ("5", 5, ""),
        ("'DATABASE_URL is missing'", 1, "DATABASE_URL is missing\n"),
    ],
)
def test_a_module_may_end_its_process(servers, tmp_path, flags, code, status, text):
    (tmp_path / "leaves.py").write_text(f"import sys\nsys.exit({code})\n")
    server = servers.start("leaves:app", *flags, cwd=tmp_path)
    server.expect_error("")
    assert server.wait_until_ended() == status
    assert server.output.removeprefix("error: ") == text


# What is imported at the start of each interpreter: the first processes cannot be made.
NO_PROCESS = """
import errno
import os

fork, failures = os.fork, iter(range(2))

def fails_at_first():
    for _ in failures:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()

os.fork = fails_at_first
"""


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn makes its processes in another way")
def test_a_process_that_cannot_be_made_is_tried_again(serve, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NO_PROCESS)
    flags = ["--workers", "2"]
    server = serve("process_id:app", *flags, env={"PYTHONPATH": str(tmp_path)})
    assert server.client.get("/").status_code == 200
    server.expect_error("")
    reason = "cannot start a worker: Resource temporarily unavailable; the next attempt is in"
    for pause in ("0.5", "1.0"):
        server.wait_for_output(f"{reason} {pause} s")

    def pipes():
        files = [
            file for file in os.scandir(f"/proc/{server.process.pid}/fd") if int(file.name) > 2
        ]
        return [link for link in map(os.readlink, files) if link.startswith("pipe:")]

    # One for each worker, besides those of the test.
    deadline = time.monotonic() + PATIENCE
    while len(pipes()) != 2:
        assert time.monotonic() < deadline, pipes()
        time.sleep(0.01)


LEAVES_WORK = """
import atexit
import logging.handlers
import os
import threading

from journal import tell
from raw_http import hello, stops_in_lifespan

KEY = os.environ["CALLGATE_TEST_KEY"]

class Handler(logging.handlers.MemoryHandler):
    def flush(self):
        for record in self.buffer:
            tell(KEY, (os.getpid(), record.getMessage()))
        self.buffer = []

handler = Handler(100)
logging.getLogger("kept").addHandler(handler)
logging.getLogger("kept").warning("a record")
atexit.register(lambda: tell(KEY, (os.getpid(), "atexit")))

def work():
    threading.main_thread().join()
    tell(KEY, (os.getpid(), "a thread"))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        # A signal before this ends the process by itself.
        tell(KEY, (os.getpid(), "has started"))
        return await stops_in_lifespan(scope, receive, send)
    threading.Thread(target=work).start()
    await hello(scope, receive, send)
"""


@pytest.mark.skipif(SERVER != "callgate", reason="the signal ends uvicorn")
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)
def test_a_process_ends_as_an_interpreter_does(serve, tmp_path, journal, key, flags):
    (tmp_path / "leaves_work.py").write_text(LEAVES_WORK)
    env = {"PYTHONPATH": str(APPS), "CALLGATE_TEST_KEY": key}
    server = serve("leaves_work:app", *flags, cwd=tmp_path, env=env)
    for _ in range(2 if flags else 1):
        assert journal.next(key)[1] == "has started"
    assert server.client.get("/").text == "hello"
    server.stop()
    told = [journal.next(key) for _ in range(5 if flags else 3)]
    [asked] = [pid for pid, what in told if what == "a thread"]
    # The thread is waited for before the rest.
    assert [what for pid, what in told if pid == asked] == ["a thread", "atexit", "a record"]


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn starts workers again and again")
def test_workers_that_cannot_start_say_so_once(servers):
    server = servers.start("broken_module:app", "--workers", "8")
    server.expect_error("")
    assert server.wait_until_ended() == 3
    assert server.output.count("error: importing `broken_module`") == 1


@pytest.mark.skipif(SERVER != "callgate", reason="uvicorn has its workers ignore no signal")
@pytest.mark.parametrize("flags", [[], ["--workers", "2"]], ids=str)
def test_what_an_application_starts_has_the_default_signals(serve, flags):
    server = serve("forks:app", *flags)
    lines = server.client.get("/signals").text.splitlines()
    ignored = {line.split(":")[0]: int(line.split(":")[1], 16) for line in lines}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        bit = 1 << (number - 1)
        assert not ignored["SigBlk"] & bit, number
        assert not ignored["SigIgn"] & bit, number
