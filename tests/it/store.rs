//! Connections and transactions.

use std::future::Future;
use std::task::{Context, Waker};

use pushbox::store;
use sqlx::PgPool;

use crate::support::database::{TestDatabase, database};

/// Drops `begin` after so many polls, as a request is dropped whose client went away.
async fn give_up_after(polls: usize, begin: impl Future) {
    let mut begin = Box::pin(begin);
    for _ in 0..polls {
        if begin.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A pool of one connection: whoever comes next gets the one that was given up on.
fn lone(db: &TestDatabase) -> PgPool {
    store::pool(&db.url.clone().into(), 1, "test", store::Sessions::Own).expect("a pool")
}

#[tokio::test]
async fn a_transaction_that_is_given_up_while_it_begins_leaves_nothing_open() {
    let db = database().await;
    sqlx::query("CREATE TABLE public.notes (n bigint)").execute(&db.pool).await.expect("create");
    for polls in 1..40 {
        let pool = lone(&db);
        // The connection is there, so that the polls meet the `BEGIN` and not the connecting.
        drop(pool.acquire().await.expect("connection"));
        give_up_after(polls, store::begin(&pool)).await;
        sqlx::query("INSERT INTO public.notes VALUES ($1)")
            .bind(i64::try_from(polls).expect("few"))
            .execute(&pool)
            .await
            .expect("insert");
        let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM public.notes WHERE n = $1")
            .bind(i64::try_from(polls).expect("few"))
            .fetch_one(&db.pool)
            .await
            .expect("count");
        assert_eq!(seen, 1, "given up after {polls} polls: what was written then was never committed");
    }
}

#[tokio::test]
async fn a_connection_whose_user_gave_up_does_not_go_back() {
    let db = database().await;
    let pool = lone(&db);
    let pid = "SELECT pg_backend_pid()";
    let mut engaged = store::Engaged::acquire(&pool).await.expect("connection");
    let first: i32 = sqlx::query_scalar(pid).fetch_one(engaged.connection()).await.expect("pid");
    engaged.free();
    let mut engaged = store::Engaged::acquire(&pool).await.expect("connection");
    let second: i32 = sqlx::query_scalar(pid).fetch_one(engaged.connection()).await.expect("pid");
    assert_eq!(first, second, "one that was freed is used again");
    drop(engaged);
    let third: i32 = sqlx::query_scalar(pid).fetch_one(&pool).await.expect("pid");
    assert_ne!(second, third);
}
