//! Recipes: each module is a small application with its tests.

pub mod authentication;
pub mod background_jobs;
pub mod database_pool;
pub mod json_errors;
pub mod matchit_routes;
pub mod routes;
pub mod sessions;
pub mod static_files;
pub mod streams;
pub mod templates;
pub mod uploads;
