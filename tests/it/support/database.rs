//! A database of its own for each test, in one private cluster per test process.
//!
//! The cluster is ephemeral: its supervisor stops and removes it when the test process ends, however it ends.

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};

use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<ManagedPostgres> = OnceCell::const_new();
static TEMPLATE: OnceCell<()> = OnceCell::const_new();
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Has all migrations applied, and no connections.
const TEMPLATE_NAME: &str = "pushbox_template";

/// A database that no other test uses.
pub(crate) struct TestDatabase {
    /// For a second pool, or for a program under test.
    pub(crate) url: String,
    /// A small pool.
    pub(crate) pool: PgPool,
}

/// What the connections of a process that is going to die are called.
const DOOMED: &str = "doomed";

impl TestDatabase {
    /// A pool of one connection, for a process that is going to die.
    pub(crate) async fn lone_pool(&self) -> PgPool {
        let options = PgConnectOptions::from_str(&self.url).expect("a URL").application_name(DOOMED);
        PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .expect("connect to the test database")
    }

    /// The connections of a process die with it. Returns when the server has noticed: until then it may still be at
    /// what they had asked for.
    pub(crate) async fn bury(&self, pool: PgPool) {
        pool.close().await;
        let alive = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = $1";
        while sqlx::query_scalar::<_, i64>(alive).bind(DOOMED).fetch_one(&self.pool).await.expect(alive) > 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// An empty database.
pub(crate) async fn empty_database() -> TestDatabase {
    create("template0").await
}

/// A database with all migrations applied.
pub(crate) async fn database() -> TestDatabase {
    TEMPLATE
        .get_or_init(|| async {
            execute(&format!("CREATE DATABASE {TEMPLATE_NAME} TEMPLATE template0")).await;
            let url = cluster().await.url(TEMPLATE_NAME);
            let mut connection = PgConnection::connect(&url).await.expect("connect to the template");
            pushbox::store::migrate(&mut connection).await.expect("migrate the template");
            connection.close().await.expect("leave the template");
        })
        .await;
    create(TEMPLATE_NAME).await
}

async fn create(template: &str) -> TestDatabase {
    let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
    execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    let url = cluster().await.url(&name);
    let pool =
        PgPoolOptions::new().max_connections(10).connect(&url).await.expect("connect to the test database");
    TestDatabase { url, pool }
}

/// The process's cluster.
pub(crate) async fn cluster() -> &'static ManagedPostgres {
    CLUSTER
        .get_or_init(|| async {
            // Does not exist yet: what pushbox makes, its supervisor may remove.
            let data_dir = std::env::temp_dir().join(format!("pushbox-test-{}", uuid::Uuid::new_v4()));
            ManagedPostgres::start(PostgresOptions::ephemeral(data_dir))
                .await
                .expect("start the tests' Postgres")
        })
        .await
}

/// A directory that the server's user can enter when the tests run as root.
pub(crate) fn directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt;

    tempfile::Builder::new()
        .prefix("pushbox-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir()
        .expect("make a temporary directory")
}

async fn execute(statement: &str) {
    let url = cluster().await.url(DATABASE);
    let mut connection = PgConnection::connect(&url).await.expect("connect to the tests' Postgres");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.expect(statement);
    connection.close().await.expect("close");
}
