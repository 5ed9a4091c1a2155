//! A stand-in for the service that `dashboard` calls: a shop.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use callgate::App;
use callgate_tower::ServiceApp;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Clone, Copy, Serialize)]
struct Product {
    id: u32,
    name: &'static str,
    price: f64,
}

const PRODUCTS: [Product; 4] = [
    Product {
        id: 41,
        name: "Teapot",
        price: 24.5,
    },
    Product {
        id: 42,
        name: "Towel",
        price: 12.0,
    },
    Product {
        id: 43,
        name: "Lantern",
        price: 31.9,
    },
    Product {
        id: 44,
        name: "Umbrella",
        price: 18.0,
    },
];

/// Creates the shop: three lists, and each product as an item.
pub(crate) fn app() -> impl App {
    let routes = Router::new()
        .route("/users", get(async || Json(users())))
        .route("/products", get(async || Json(PRODUCTS)))
        .route("/sales", get(async || Json(sales())))
        .route("/items/{id}", get(item));
    ServiceApp::new(routes)
}

fn users() -> Value {
    json!([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}, {"id": 3, "name": "Edsger"}])
}

fn sales() -> Value {
    json!([
        {"user": 1, "product": 42, "quantity": 2},
        {"user": 3, "product": 41, "quantity": 1},
        {"user": 2, "product": 44, "quantity": 1},
    ])
}

async fn item(Path(id): Path<String>) -> Result<Json<Product>, StatusCode> {
    let product = PRODUCTS
        .into_iter()
        .find(|product| product.id.to_string() == id);
    product.map(Json).ok_or(StatusCode::NOT_FOUND)
}
