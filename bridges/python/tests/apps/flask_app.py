"""A service in Flask: forms, files, sessions, streams, errors, and asynchronous views."""

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    jsonify,
    redirect,
    request,
    send_file,
    session,
    stream_with_context,
)

app = Flask(__name__)
app.secret_key = "for tests"
blueprint = Blueprint("blueprint", __name__, url_prefix="/blueprint")


@app.route("/json", methods=["POST"])
def json():
    return jsonify(request.get_json())


@app.route("/form", methods=["POST"])
def form():
    file = request.files["file"]
    return {"note": request.form["note"], "name": file.filename, "size": len(file.read())}


@app.route("/counts")
def counts():
    session["count"] = session.get("count", 0) + 1
    return str(session["count"])


@app.route("/stream")
def stream():
    @stream_with_context
    def parts():
        for number in range(3):
            yield f"{request.path} {number} "

    return Response(parts(), mimetype="text/plain")


@app.route("/file")
def file():
    return send_file(__file__, mimetype="text/plain", conditional=True)


@app.route("/missing")
def missing():
    abort(404, "not here")


@app.route("/raises")
def raises():
    raise ValueError("raised in Flask")


@app.route("/redirect")
def to_url():
    return redirect("/url")


@app.route("/url")
def url():
    return {
        "url": request.url,
        "client": request.remote_addr,
        "args": request.args.to_dict(flat=False),
    }


@blueprint.route("/ü/<int:number>")
def in_blueprint(number):
    return {"path": request.path, "number": number}


app.register_blueprint(blueprint)
