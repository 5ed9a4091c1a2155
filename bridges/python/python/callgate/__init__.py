"""A server for applications in Python (ASGI): HTTP/1.1, HTTP/2 and WebSocket, in Rust."""

from callgate._callgate import ClientDisconnected, ServeError

__all__ = ["ClientDisconnected", "ServeError"]
