//! The managed cluster, against the real thing.

use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use sqlx::{Connection, PgConnection};

use crate::support::database::directory;

async fn query(cluster: &ManagedPostgres, statement: &'static str) -> String {
    let mut connection = PgConnection::connect(&cluster.url(DATABASE)).await.expect("connect");
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect(statement)
}

async fn execute(cluster: &ManagedPostgres, statement: &'static str) {
    let mut connection = PgConnection::connect(&cluster.url(DATABASE)).await.expect("connect");
    sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
}

#[tokio::test]
async fn a_cluster_keeps_its_data_over_stop_and_start() {
    let directory = directory();
    let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
    execute(&cluster, "CREATE TABLE kept AS SELECT 'yes' AS answer").await;
    let url = cluster.url(DATABASE);
    cluster.stop().await.unwrap();
    assert!(PgConnection::connect(&url).await.is_err());

    let cluster = ManagedPostgres::start(PostgresOptions::new(directory.path())).await.unwrap();
    assert_eq!(query(&cluster, "SELECT answer FROM kept").await, "yes");
    cluster.stop().await.unwrap();
}
