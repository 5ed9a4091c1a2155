"""Applications of bare WSGI for `test_wsgi.py`, one a path."""

import sys
import threading
import time

from journal import tell


def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def show_environ(environ, start_response):
    tell(
        environ["QUERY_STRING"],
        {key: value for key, value in environ.items() if isinstance(value, (str, tuple, bool))},
    )
    return plain(environ, start_response)


def echo(environ, start_response):
    octets = environ["wsgi.input"].read()
    start_response("201 Created", [("Content-Length", str(len(octets)))])
    return [octets]


def echo_lines(environ, start_response):
    """Reads by lines, as a form parser does."""
    start_response("200 OK", [])
    return [line.upper() for line in environ["wsgi.input"]]


def reads_in_pieces(environ, start_response):
    size = 0
    while piece := environ["wsgi.input"].read(1000):
        size += len(piece)
    start_response("200 OK", [])
    return [str(size).encode()]


def generator(environ, start_response):
    start_response("200 OK", [("X-Kind", "generator")])
    for number in range(3):
        yield f"part {number} ".encode()


class Closing:
    """An iterable whose `close` has to be called."""

    def __init__(self, key):
        self.key = key
        self.parts = iter([b"one ", b"two"])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.parts)

    def close(self):
        tell(self.key, "closed")


def closing(environ, start_response):
    start_response("200 OK", [])
    return Closing(environ["QUERY_STRING"])


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def writes(environ, start_response):
    write = start_response("200 OK", [])
    write(b"written ")
    return [b"returned"]


def fields(environ, start_response):
    start_response("200 OK", [("Set-Cookie", "a=1"), ("X-Latin", "caf\xe9"), ("Set-Cookie", "b=2")])
    return [b""]


def raises(environ, start_response):
    raise ValueError("raised in WSGI")


def raises_in_the_content(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    raise ValueError("raised in the content")


def replaces_the_start(environ, start_response):
    start_response("200 OK", [])
    try:
        raise ValueError("too late for the first start")
    except ValueError:
        start_response("500 Own Error", [], sys.exc_info())
    return [b"own error"]


def own_reason(environ, start_response):
    start_response("299 Own Reason", [("Content-Length", "0")])
    return []


def thread(environ, start_response):
    """Meets another call: both wait until the other has come, so they run in two threads."""
    barrier.wait(timeout=5)
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]


barrier = threading.Barrier(2)


def large(environ, start_response):
    start_response("200 OK", [])
    return (b"x" * 2**16 for _ in range(800))


def works_on(environ, start_response):
    tell(environ["QUERY_STRING"], "called")
    time.sleep(0.3)
    return plain(environ, start_response)


PATHS = {f"/{name}": value for name, value in list(globals().items()) if callable(value)}


def app(environ, start_response):
    return PATHS.get(environ["PATH_INFO"], show_environ)(environ, start_response)
