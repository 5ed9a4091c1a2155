"""Corners of PEP 3333 for `test_wsgi_corners.py`, one a path."""

import contextvars
import gzip
import io
import json
import os
import sys
import tempfile
import threading
import time
from wsgiref.validate import validator

import callgate
from journal import tell


def query(environ):
    return environ["QUERY_STRING"]


def answer(start_response, text, status="200 OK"):
    start_response(status, [("Content-Type", "text/plain")])
    return [text.encode()]


def wait_for_file(path):
    while not os.path.exists(path):
        time.sleep(0.01)


# The environment and the content.


def environ(environ, start_response):
    kinds = (str, bool, int, tuple)
    shown = {name: value for name, value in environ.items() if isinstance(value, kinds)}
    return answer(start_response, json.dumps(shown))


def reads(environ, start_response):
    """Makes the calls of the query: `[["read", 3], ["readline"]]`."""
    results = []
    file = environ["wsgi.input"]
    for name, *arguments in json.loads(environ["HTTP_X_CALLS"]):
        results.append(list(file) if name == "iterate" else getattr(file, name)(*arguments))
    return answer(start_response, repr(results))


def reads_too_early(environ, start_response):
    """Reads content that never comes."""
    tell(query(environ), "called")
    try:
        environ["wsgi.input"].read()
    except callgate.ClientDisconnected as error:
        tell(query(environ), isinstance(error, OSError))
        raise
    raise AssertionError("there was content")


def reads_one_octet(environ, start_response):
    key, _, path = query(environ).partition("&")
    environ["wsgi.input"].read(1)
    tell(key, "has read")
    wait_for_file(path)
    size = 1
    while part := environ["wsgi.input"].read(2**16):
        size += len(part)
    return answer(start_response, str(size))


@validator
def valid(environ, start_response):
    content = environ["wsgi.input"].read(2**20)
    return answer(start_response, f"{environ['REQUEST_METHOD']} {len(content)}")


def errors(environ, start_response):
    environ["wsgi.errors"].write(f"noted {query(environ)}\n")
    environ["wsgi.errors"].flush()
    return answer(start_response, "noted")


# Threads.

local = threading.local()
variable = contextvars.ContextVar("variable", default=0)
lock = threading.Lock()
active = 0
most = 0
pairs = threading.Barrier(2)


def counts(environ, start_response):
    """Counts the calls of its thread, and what context variables have of calls before."""
    local.calls = getattr(local, "calls", 0) + 1
    before = variable.get()
    variable.set(before + 1)
    thread = threading.current_thread()
    return answer(start_response, f"{local.calls} {before} {thread.name} {thread.daemon}")


def meets(environ, start_response):
    """Waits for one other call, and returns the most calls that there were at once."""
    global active, most
    with lock:
        active += 1
        most = max(most, active)
    pairs.wait(timeout=5)
    with lock:
        active -= 1
    return answer(start_response, str(most))


def holds(environ, start_response):
    key, _, path = query(environ).partition("&")
    tell(key, "called")
    wait_for_file(path)
    return answer(start_response, "held")


def tells(environ, start_response):
    tell(query(environ), "called")
    return answer(start_response, "told")


# The response.


def listed(environ, start_response):
    start_response("200 OK", [])
    return [b"one ", b"", b"two"]


def large_list(environ, start_response):
    start_response("200 OK", [])
    return [b"x" * 2**20] * 20


class Parts:
    """Parts of 64 KiB, whose number is told when they are closed."""

    def __init__(self, key, number):
        self.key = key
        self.number = number
        self.taken = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == self.number:
            raise StopIteration
        self.taken += 1
        return b"x" * 2**16

    def close(self):
        tell(self.key, self.taken)


def endless(environ, start_response):
    start_response("200 OK", [])
    return Parts(query(environ), 2_000)


def short(environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    return [b"short"]


def long(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"long"]


def short_in_parts(environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    yield b"short"


def works_after_the_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    yield b"hello"
    yield b""
    tell(query(environ), "after")


def long_in_parts(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    try:
        yield b"hello"
        yield b"more"
    finally:
        tell(query(environ), "closed")


def no_content(environ, start_response):
    start_response("204 No Content", [("Content-Length", "0")])
    return [b""]


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("Content-Length", "5"), ("ETag", '"1"')])
    return []


def head_in_parts(environ, start_response):
    start_response("200 OK", [])
    return Parts(query(environ), 100)


def hop_by_hop(environ, start_response):
    start_response("200 OK", [("Connection", "close"), ("X-Kept", "1")])
    return [b"kept"]


def not_started(environ, start_response):
    return [b"content"]


def never_started(environ, start_response):
    return []


def starts_twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b"content"]


def starts_after_content(environ, start_response):
    write = start_response("200 OK", [])
    write(b"content")
    try:
        raise ValueError("after content")
    except ValueError:
        start_response("500 Late", [], sys.exc_info())
    return []


def text(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def bad_status(environ, start_response):
    start_response("OK", [])
    return []


def bad_field(environ, start_response):
    start_response("200 OK", [("X-Split", "a\r\nb: c")])
    return []


def exits(environ, start_response):
    raise SystemExit(3)


class FailsAtClose:
    def __iter__(self):
        return iter([b"whole"])

    def close(self):
        raise ValueError("raised by close")


def fails_at_close(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return FailsAtClose()


class SlowClose(Parts):
    def close(self):
        time.sleep(0.3)
        super().close()


def closes_slowly(environ, start_response):
    start_response("200 OK", [("Content-Length", str(2**16))])
    return SlowClose(query(environ), 1)


# Files.


class File:
    """A file that tells how often it was read when it is closed."""

    def __init__(self, key, file):
        self.key = key
        self.file = file
        self.reads = 0

    def __getattr__(self, name):
        return getattr(self.file, name)

    def read(self, size):
        self.reads += 1
        return self.file.read(size)

    def close(self):
        self.file.close()
        tell(self.key, self.reads)


def sends(environ, start_response, file, fields=()):
    start_response("200 OK", list(fields))
    return environ["wsgi.file_wrapper"](File(query(environ), file), 1000)


def plain_file(size=100_000):
    file = tempfile.TemporaryFile()
    file.write(b"f" * size)
    file.seek(0)
    return file


def file(environ, start_response):
    return sends(environ, start_response, plain_file())


def file_with_length(environ, start_response):
    return sends(environ, start_response, plain_file(), [("Content-Length", "100000")])


def empty_file(environ, start_response):
    return sends(environ, start_response, plain_file(0))


def rest_of_a_file(environ, start_response):
    file = plain_file()
    file.seek(99_000)
    return sends(environ, start_response, file)


def file_in_memory(environ, start_response):
    return sends(environ, start_response, io.BytesIO(b"f" * 100_000))


def compressed_file(environ, start_response):
    file = tempfile.NamedTemporaryFile()
    file.write(gzip.compress(b"f" * 1000))
    file.flush()
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](gzip.open(file.name))


def utf_8(environ, start_response):
    start_response("200 OK", [("X-Title", "voilà".encode().decode("latin-1"))])
    return []


PATHS = {f"/{name}": value for name, value in list(globals().items()) if callable(value)}


def app(environ, start_response):
    path = environ["PATH_INFO"].removeprefix("/below")
    return PATHS.get(path, PATHS["/environ"])(environ, start_response)
