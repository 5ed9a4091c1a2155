//! Databases of a PostgreSQL server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use url::Url;

/// A new database, with the table and two rows.
pub(crate) struct Database {
    pub(crate) url: Url,
    name: String,
    server: PgConnection,
    pub(crate) connection: PgConnection,
}

impl Database {
    pub(crate) async fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("CALLGATE_POSTGRES_URL").expect(
            "CALLGATE_POSTGRES_URL is the URL of a PostgreSQL for tests: \
             `cargo xtask test` and `cargo xtask postgres cargo test` start one",
        );
        let mut url = Url::parse(&url).unwrap();
        let mut server = connect(&url).await;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("callgate_test_{}_{count}", std::process::id());
        let create = format!("CREATE DATABASE {name}");
        server.execute(AssertSqlSafe(create)).await.unwrap();
        url.set_path(&name);
        let mut connection = connect(&url).await;
        let table = "CREATE TABLE brand (brand_id SERIAL PRIMARY KEY, brand_name TEXT NOT NULL);
            INSERT INTO brand (brand_name) VALUES ('Höhe'), ('Tiefe');";
        connection.execute(table).await.unwrap();
        Self {
            url,
            name,
            server,
            connection,
        }
    }

    /// Returns the number of connections to the database, without that of the test.
    pub(crate) async fn connections(&mut self) -> i64 {
        let query = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::query_scalar(query)
            .fetch_one(&mut self.connection)
            .await
            .unwrap()
    }

    /// Waits until there are this many connections.
    pub(crate) async fn has_connections(&mut self, expected: i64) {
        let waiting = async {
            while self.connections().await != expected {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(waited.is_ok(), "there are not {expected} connections");
    }

    pub(crate) async fn remove(mut self) {
        self.connection.close().await.unwrap();
        let remove = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        self.server.execute(AssertSqlSafe(remove)).await.unwrap();
    }
}

async fn connect(url: &Url) -> PgConnection {
    let options: PgConnectOptions = url.as_str().parse().unwrap();
    options.connect().await.unwrap()
}
