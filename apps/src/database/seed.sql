-- The products database of `brands` and `brands-blocking`, for SQLite and for PostgreSQL.
CREATE TABLE brand (
    brand_id INTEGER PRIMARY KEY,
    brand_name TEXT NOT NULL
);

INSERT INTO brand (brand_id, brand_name) VALUES
    (1, 'Alder & Finch'),
    (2, 'Brightwater'),
    (3, 'Copper Lane'),
    (4, 'Drømmeri'),
    (5, 'Eleven Oaks'),
    (6, 'Foxglove');
