"""The list of `brands.py`, as `bridges/python/tests/apps/seeds/flasky.py` has it: Flask with psycopg2."""

import os

import psycopg2
from flask import Flask, jsonify

app = Flask(__name__)
database = psycopg2.connect(os.environ["CALLGATE_POSTGRES_URL"])


@app.route("/brands")
def brands():
    with database.cursor() as cursor:
        cursor.execute("SELECT brand_id, brand_name FROM brand")
        rows = cursor.fetchall()
    return jsonify([{"brand_id": number, "brand_name": name} for number, name in rows])
