//! The audit finds nothing after real work, and finds every kind of break that is made by hand.

use pushbox::store::audit::{INVARIANTS, balances};
use sqlx::PgPool;

use crate::support::app::{SHOP, TestApp, order, status_push};

async fn broken(pool: &PgPool) -> Vec<&'static str> {
    let mut names = Vec::new();
    for invariant in INVARIANTS {
        if !invariant.breaks(pool, 5).await.expect(invariant.name).is_empty() {
            names.push(invariant.name);
        }
    }
    names
}

#[tokio::test]
async fn holds_after_work_and_finds_what_was_broken() {
    let forwarding = [
        ("FORWARD_URL", "{forward}"),
        ("FORWARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("FORWARD_ALLOW_PRIVATE", "true"),
    ];
    let app = TestApp::start_with(&forwarding).await;
    for n in 0..5 {
        let (detail, escrow) = order(&format!("A{n}"), "READY_TO_SHIP", 1_790_000_200);
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push(&format!("A{n}"), "READY_TO_SHIP", 1_790_000_200)).await;
        app.push(&status_push(&format!("A{n}"), "READY_TO_SHIP", 1_790_000_200)).await;
    }
    app.drain().await;
    assert_eq!(broken(&app.pool).await, Vec::<&str>::new());
    for balance in balances(&app.pool).await.expect("balances") {
        assert_eq!((balance.events, balance.done), (5, 5), "{}", balance.kind);
    }

    for n in 1..=3 {
        sqlx::query("INSERT INTO pushbox.admin_actions (request_id, action, subject) VALUES ($1, 'pause_queue', 'queue sheet')")
            .bind(format!("request-{n}"))
            .execute(&app.pool)
            .await
            .expect("an action");
    }
    let sabotage = [
        ("event_has_jobs", "DELETE FROM pushbox.job_history WHERE kind = 'enrich_order'
                            AND id = (SELECT max(id) FROM pushbox.job_history WHERE kind = 'enrich_order')"),
        ("event_has_key", "DELETE FROM pushbox.event_keys WHERE key LIKE '%A1%'"),
        ("key_has_event", "UPDATE pushbox.event_keys SET event_id = 'ffffffff-ffff-7fff-bfff-ffffffffffff' WHERE key LIKE '%A2%'"),
        ("job_in_one_place", "INSERT INTO pushbox.job_history SELECT * FROM pushbox.job_history
                              WHERE kind = 'enrich_order' ORDER BY id LIMIT 1"),
        ("job_is_consistent", "INSERT INTO pushbox.jobs (queue, kind, payload, max_attempts, state)
                               VALUES ('sheet', 'x', '{}', 1, 'dead')"),
        ("one_at_a_time", "INSERT INTO pushbox.jobs (queue, kind, key, payload, max_attempts, state, claim_id, lease_until)
                           SELECT 'sheet', 'x', 'k', '{}', 1, 'running', gen_random_uuid(), now() + interval '1 hour'
                           FROM generate_series(1, 2)"),
        ("order_never_backwards", "UPDATE pushbox.orders SET update_time = update_time - interval '1 h' WHERE order_sn = 'A3'"),
        ("income_adds_up", "UPDATE pushbox.order_items SET net_income = net_income + 0.01 WHERE order_sn = 'A0' AND line_no = 0"),
        ("sheet_not_behind", "UPDATE pushbox.sheet_rows SET update_time = update_time - interval '1 h' WHERE order_sn = 'A4'"),
        ("announced_once", "DELETE FROM pushbox.telegram_messages"),
        ("forwarded_once", "DELETE FROM pushbox.deliveries"),
        ("actions_unaltered", "UPDATE pushbox.admin_actions SET subject = 'queue notify' WHERE seq = 2"),
        ("partitions_in_time", "INSERT INTO pushbox.events (id, source, code, kind, payload, body_sha256, received_at, via)
                                VALUES (gen_random_uuid(), 's', '1', 'k', '{}', '', '2001-01-01', 'push')"),
    ];
    assert_eq!(sabotage.len(), INVARIANTS.len(), "every invariant has its sabotage");
    for (name, sql) in sabotage {
        assert!(!broken(&app.pool).await.contains(&name), "{name} was broken before");
        let done = sqlx::query(sql).execute(&app.pool).await.expect(sql);
        assert!(done.rows_affected() > 0, "{name}: nothing was changed");
        assert!(broken(&app.pool).await.contains(&name), "{name} was not found");
    }
    app.app.stop().await;
}

#[tokio::test]
async fn the_chain_of_actions_shows_what_was_done_to_it() {
    let chain = INVARIANTS.iter().find(|one| one.name == "actions_unaltered").expect("it is there");
    for (sabotage, broken) in [
        ("SELECT 1", false),
        ("UPDATE pushbox.admin_actions SET actor = 'somebody else' WHERE seq = 1", true),
        ("UPDATE pushbox.admin_actions SET detail = '{\"a\": 2}' WHERE seq = 3", true),
        ("DELETE FROM pushbox.admin_actions WHERE seq = 1", true),
        ("DELETE FROM pushbox.admin_actions WHERE seq = 2", true),
        ("DELETE FROM pushbox.admin_actions WHERE seq = 3", true),
        ("DELETE FROM pushbox.admin_actions", true),
        ("UPDATE pushbox.admin_actions SET seq = 5 - seq WHERE seq > 1", true),
    ] {
        let pool = crate::support::database::database().await.pool;
        for _ in 0..3 {
            sqlx::query("INSERT INTO pushbox.admin_actions (request_id, action, subject, detail) VALUES ('r', 'x', 'y', '{\"a\": 1}')")
                .execute(&pool)
                .await
                .expect("an action");
        }
        sqlx::query(sabotage).execute(&pool).await.expect(sabotage);
        let breaks = chain.breaks(&pool, 5).await.expect("the check");
        assert_eq!(!breaks.is_empty(), broken, "{sabotage}: {breaks:?}");
    }
}
