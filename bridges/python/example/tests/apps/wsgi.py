"""An application of WSGI."""

import logging
import threading

pair = threading.Barrier(2)


def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/fail":
        raise RuntimeError("the query " + query)
    if path == "/meet":
        pair.wait(timeout=10)
    if path == "/warn":
        logging.getLogger("wsgi.shop").warning("low on %s", query)
    content = environ["wsgi.input"].read()
    thread = f"{threading.get_native_id()} {threading.current_thread().name}"
    start_response("200 OK", [("X-Thread", thread), ("X-Length", str(len(content)))])
    return [environ["SCRIPT_NAME"].encode(), b" ", path.encode()]
