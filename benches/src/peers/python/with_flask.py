"""Small applications of WSGI: one of Flask, and one without a framework."""

from flask import Flask

app = Flask(__name__)


@app.route("/json")
def json():
    return {"message": "Hello, world!"}


def bare(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]
