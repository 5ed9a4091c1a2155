//! A stand-in for the billing service that `customers` calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use callgate::App;
use callgate_tower::ServiceApp;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The number of customers that are kept.
const MAX_CUSTOMERS: usize = 1000;

#[derive(Deserialize)]
struct NewCustomer {
    id: String,
    name: String,
    email: String,
}

#[derive(Clone, Serialize)]
struct Customer {
    id: String,
    name: String,
    email: String,
    /// In milliseconds since 1970.
    created_at: i64,
    env: &'static str,
    products: [(); 0],
}

/// The customers, the newest last. The oldest is dropped when there are too many.
type Customers = Arc<Mutex<VecDeque<Customer>>>;

/// Creates the service: a customer is created once, and is the answer each time.
pub(crate) fn app() -> impl App {
    let routes = Router::new()
        .route("/customers", post(create))
        .with_state(Customers::default());
    ServiceApp::new(routes)
}

async fn create(
    State(customers): State<Customers>,
    Json(new): Json<NewCustomer>,
) -> Json<Customer> {
    let mut customers = customers.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = customers.iter().find(|customer| customer.id == new.id) {
        return Json(known.clone());
    }
    let NewCustomer { id, name, email } = new;
    let customer = Customer {
        id,
        name,
        email,
        created_at: Timestamp::now().as_millisecond(),
        env: "sandbox",
        products: [],
    };
    if customers.len() == MAX_CUSTOMERS {
        customers.pop_front();
    }
    customers.push_back(customer.clone());
    Json(customer)
}
