"""An application of WSGI whose calls do not end."""

import time

from journal import tell


def app(environ, start_response):
    tell(environ["QUERY_STRING"], "called")
    if environ["PATH_INFO"] == "/computes":
        while True:
            pass
    time.sleep(3600)
