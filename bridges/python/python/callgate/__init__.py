"""A server for applications in Python (ASGI, WSGI): HTTP/1.1, HTTP/2 and WebSocket, in Rust.

`callgate MODULE:APP` serves an application from the command line. `run` does so from a program, and `Server` in an
event loop that runs already.
"""

from callgate._callgate import ClientDisconnected, ServeError
from callgate._server import Server, run

__all__ = ["ClientDisconnected", "ServeError", "Server", "run"]
