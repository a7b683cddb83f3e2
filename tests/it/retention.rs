//! What is forgotten with the events, and what is kept although it is old.

use uuid::Uuid;

use crate::support::app::TestApp;

const OLD: i64 = 1_600_000_000_000;

fn event(at: i64, n: u8) -> Uuid {
    let at = u64::try_from(at).expect("a time");
    uuid::Builder::from_unix_timestamp_millis(at, &[n; 10]).into_uuid()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a row of each kind in each ledger")]
async fn the_ledgers_forget_what_is_old_unless_it_is_still_needed() {
    let app = TestApp::start().await;
    let now = pushbox::clock::system().now().timestamp_millis();
    let [old, asked_again, merged, young] = [event(OLD, 1), event(OLD, 2), event(OLD, 3), event(now, 4)];
    // First: the scheduler's own first run may come at any moment.
    sqlx::query(
        "INSERT INTO pushbox.jobs (queue, kind, payload, state, max_attempts, event_id, merged_events)
         VALUES ('forward', 'x', '{}', 'dead', 1, $1, ARRAY[$2])",
    )
    .bind(asked_again)
    .bind(merged)
    .execute(&app.pool)
    .await
    .expect("a dead job");
    for id in [old, asked_again, merged, young] {
        for sql in [
            "INSERT INTO pushbox.telegram_messages (chat_id, event_id, part, parts, state)
             VALUES (1, $1, 0, 1, 'sent'), (2, $1, 0, 1, 'uncertain')",
            "INSERT INTO pushbox.deliveries (target, event_id, state) VALUES ('x', $1, 'delivered')",
        ] {
            sqlx::query(sql).bind(id).execute(&app.pool).await.expect(sql);
        }
    }
    // One that may change, one that has ended, one of which nothing is known; the last was edited just now.
    for (order_sn, status, edited) in [
        ("A", Some("SHIPPED"), "-1 year"),
        ("B", Some("COMPLETED"), "-1 year"),
        ("C", None, "-1 year"),
        ("D", Some("COMPLETED"), "0 s"),
    ] {
        sqlx::query(
            "INSERT INTO pushbox.telegram_orders
                 (chat_id, platform, shop_id, order_sn, message_id, event_id, content_sha256, shown_at)
             VALUES (1, 'shopee', '1', $1, 1, $2, '', now() + $3::interval)",
        )
        .bind(order_sn)
        .bind(old)
        .bind(edited)
        .execute(&app.pool)
        .await
        .expect("a message");
        if let Some(status) = status {
            sqlx::query(
                "INSERT INTO pushbox.orders
                     (platform, shop_id, order_sn, status, currency, region, create_time, update_time, cod, packages,
                      snapshot)
                 VALUES ('shopee', '1', $1, $2, 'SGD', 'SG', now(), now(), false, '[]', '{}')",
            )
            .bind(order_sn)
            .bind(status)
            .execute(&app.pool)
            .await
            .expect("an order");
        }
    }
    app.run_schedule("maintain").await;
    let kept: Vec<Uuid> = sqlx::query_scalar("SELECT event_id FROM pushbox.deliveries ORDER BY 1")
        .fetch_all(&app.pool)
        .await
        .expect("deliveries");
    assert_eq!(kept, [asked_again, merged, young]);
    assert_eq!(app.count("SELECT count(DISTINCT event_id) FROM pushbox.telegram_messages").await, 3);
    let kept: Vec<String> = sqlx::query_scalar("SELECT order_sn FROM pushbox.telegram_orders ORDER BY 1")
        .fetch_all(&app.pool)
        .await
        .expect("messages of orders");
    assert_eq!(kept, ["A", "D"]);
    app.app.stop().await;
    app.simulator.shutdown().await;
}
