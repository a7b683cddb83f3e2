//! What `docs/audits.md` promises to who asks in SQL: every query runs as the reader and finds what it is for, a
//! question reads its own part of a long history only, and no secret can be read.

use std::collections::BTreeMap;

use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use pushbox::store::migrate;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use crate::support::app::{SHOP, TestApp, order, status_push};
use crate::support::database::{database, directory};
use crate::support::source::root;

/// The examples of the document.
const EVENT: &str = "019a0000-0000-7000-8000-000000000001";
const ORDER: &str = "2609150ABCDEF1";

/// Number of the question → its query.
fn questions() -> BTreeMap<usize, String> {
    let document = std::fs::read_to_string(root().join("docs/audits.md")).expect("the document");
    let mut found = BTreeMap::new();
    for section in document.split("\n## ").skip(1) {
        let Some(number) = section.split('.').next().and_then(|number| number.parse().ok()) else { continue };
        let query = section.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next());
        let query = query.unwrap_or_else(|| panic!("question {number} has no query"));
        found.insert(number, query.trim().trim_end_matches(';').to_owned());
    }
    found
}

/// What a reader gets, as one JSON text.
async fn read(pool: &PgPool, query: &str) -> String {
    let mut reader = pool.begin().await.expect("a transaction");
    sqlx::query("SET LOCAL ROLE pushbox_audit").execute(&mut *reader).await.expect("the role");
    let sql = format!("SELECT coalesce(jsonb_agg(to_jsonb(answer)), '[]')::text FROM ({query}) answer");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut *reader)
        .await
        .unwrap_or_else(|e| panic!("{query}: {e}"))
}

/// What is rare in real life, beside the real flow: losses, failures, a person's hand.
const TROUBLE: &str = "
    INSERT INTO pushbox.events (id, source, account, code, kind, subject, payload, body_sha256, occurred_at, received_at, via)
    SELECT ('01' || right(lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0'), 10) || '70008000000000000009')::uuid,
           'shopee', '10000001', '3', 'order_status', 'LOST1', '{}', '\\x00', t - interval '3 hours', t, 'lost_push'
    FROM (SELECT date_trunc('milliseconds', now()) AS t) now;
    INSERT INTO pushbox.orders (platform, shop_id, order_sn, status, region, create_time, update_time, currency, cod, packages, snapshot)
    VALUES ('shopee', '10000001', 'MISSING1', 'SHIPPED', 'SG', now(), now(), 'SGD', false, '[]', '{}');
    INSERT INTO pushbox.jobs (queue, kind, key, batch_key, payload, state, attempt, max_attempts, last_error, errors)
    VALUES ('sheet', 'upsert_sheet_row', 'x', 'x',
            '{\"platform\": \"shopee\", \"shop_id\": \"10000001\", \"order_sn\": \"MISSING1\", \"spreadsheet_id\": \"sheet-9\"}',
            'dead', 20, 20, 'the tab 4711 is protected', '[{\"attempt\": 20, \"at\": \"2026-11-01T00:00:00Z\", \"error\": \"the tab 4711 is protected\"}]');
    UPDATE pushbox.orders SET pay_time = now(), update_time = update_time WHERE order_sn = 'Q1';
    INSERT INTO pushbox.destinations (kind, name, paused_until, reason)
    VALUES ('telegram', '-100777', now() + interval '10 minutes', 'too many requests');
    INSERT INTO pushbox.admin_actions (request_id, action, subject, detail)
    VALUES ('r1', 'retry_job', 'job 4711', '{}');";

#[tokio::test]
async fn every_question_of_the_document_is_answered() {
    let app = TestApp::start().await;
    let now = pushbox::clock::system().now().timestamp();
    let (detail, escrow) = order("Q1", "READY_TO_SHIP", now);
    app.simulator.put_order(SHOP, detail, escrow);
    for _ in 0..2 {
        app.push(&status_push("Q1", "READY_TO_SHIP", now)).await;
    }
    app.drain().await;
    sqlx::raw_sql(TROUBLE).execute(&app.pool).await.expect("trouble");
    let event: String = sqlx::query_scalar("SELECT id::text FROM pushbox.events WHERE subject = 'Q1'")
        .fetch_one(&app.pool)
        .await
        .expect("the event");

    let expected: &[(usize, &[&str])] = &[
        (
            1,
            &[
                "code 3 (order_status) about Q1, came by push",
                "repeated",
                "enrich_order",
                "part 1 of 1 in chat",
                "appended",
            ],
        ),
        (2, &["as READY_TO_SHIP", "spreadsheet sheet-of-the-tests shows READY_TO_SHIP", "came by push"]),
        (3, &["the tab 4711 is protected"]),
        (4, &["MISSING1", "is dead"]),
        (5, &["the tab # is protected", "\"jobs\": 1"]),
        (6, &["MISSING1", "sheet-9", "\"attempts\": 20"]),
        (7, &["\"way\": \"sheet\"", "\"way\": \"telegram\"", "\"events\": 1"]),
        (8, &["p95_s_a_week_ago", "telegram"]),
        (9, &["Q1", "\"redeliveries\": 1"]),
        (10, &["\"code\": \"3\"", "\"repetitions\": 1"]),
        (11, &["LOST1", "lost_push", "03:00:00"]),
        (12, &["lost_push", "03:00:00"]),
        (
            13,
            &["\"events\": 2", "\"recovered\": 1", "\"repeated\": 1", "\"dead\": 1", "\"sheet_updates\": 1"],
        ),
        (14, &["has dead jobs", "\"verdict\": \"fine\"", "\"done_5_min\": 1"]),
        (15, &["-100777", "too many requests"]),
        (16, &["10000001", "\"events_in_7_days\": 2"]),
        (17, &["\"state\": \"sent\"", "message_id"]),
        (18, &["\"income\": 25.01", "\"orders\": 1"]),
        (19, &["maintain", "lost_pushes"]),
        (20, &["retry_job", "job 4711"]),
    ];
    let questions = questions();
    let numbers: Vec<usize> = questions.keys().copied().collect();
    assert_eq!(numbers, expected.iter().map(|(number, _)| *number).collect::<Vec<_>>());
    for (number, words) in expected {
        let asked_for = if *number == 3 { "MISSING1" } else { "Q1" };
        let query = questions[number].replace(EVENT, &event).replace(ORDER, asked_for);
        let answer = read(&app.pool, &query).await;
        for word in *words {
            assert!(answer.contains(word), "question {number} does not say {word}:\n{query}\n{answer}");
        }
    }
    app.app.stop().await;
}

#[tokio::test]
async fn readers_see_no_secret_and_change_nothing() {
    let database = database().await;
    sqlx::query("INSERT INTO pushbox.shops (platform, shop_id, access_token, refresh_token) VALUES ('shopee', '1', 'plain:a', 'plain:b')")
        .execute(&database.pool)
        .await
        .expect("a shop");
    assert!(read(&database.pool, "SELECT shop_id, state FROM pushbox.shops").await.contains("active"));
    for forbidden in [
        "SELECT access_token FROM pushbox.shops",
        "SELECT refresh_token FROM pushbox.shops",
        "SELECT * FROM pushbox.shops",
        "UPDATE pushbox.queues SET paused_at = now()",
        "DELETE FROM pushbox.events",
        "CREATE TABLE audit.mine ()",
        "SELECT audit.grant_reading('pushbox_audit')",
    ] {
        let mut reader = database.pool.begin().await.expect("a transaction");
        sqlx::query("SET LOCAL ROLE pushbox_audit").execute(&mut *reader).await.expect("the role");
        let refused = sqlx::query(forbidden).execute(&mut *reader).await.expect_err(forbidden);
        let code =
            refused.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
    // Whatever table comes later: a column that says it holds a secret is closed.
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         WHERE c.relnamespace = 'pushbox'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND has_column_privilege('pushbox_audit', c.oid, a.attnum, 'SELECT')
           AND (a.attname ~ 'token|secret|password' OR col_description(c.oid, a.attnum) ~* '\\msealed\\M')",
    )
    .fetch_all(&database.pool)
    .await
    .expect("columns");
    assert_eq!(open, Vec::<String>::new());
}

/// The owner of a hosted database is often no more than that.
#[tokio::test]
async fn an_owner_who_may_not_make_roles_is_told_what_to_do() {
    let directory = directory();
    let cluster = ManagedPostgres::start(PostgresOptions::ephemeral(directory.path().join("cluster")))
        .await
        .expect("start");
    let admin_url = cluster.url(DATABASE);
    let mut admin = PgConnection::connect(&admin_url).await.expect("connect");
    sqlx::raw_sql("CREATE ROLE owner LOGIN PASSWORD 'owner'; ALTER DATABASE pushbox OWNER TO owner; GRANT CREATE ON SCHEMA public TO owner")
        .execute(&mut admin)
        .await
        .expect("an owner");
    let address = admin_url.split_once('@').expect("an address").1;
    let mut owner =
        PgConnection::connect(&format!("postgres://owner:owner@{address}")).await.expect("connect");
    let migrated = migrate(&mut owner).await.expect("migrations without the role");
    assert!(!migrated.applied.is_empty());
    assert!(migrated.note.expect("a note").contains("CREATE ROLE pushbox_audit NOLOGIN"));

    sqlx::query("CREATE ROLE pushbox_audit NOLOGIN").execute(&mut admin).await.expect("what the note says");
    sqlx::query("SELECT audit.grant_reading()").execute(&mut owner).await.expect("what the note says");
    assert_eq!(migrate(&mut owner).await.expect("again").note, None);
    sqlx::query("SET ROLE pushbox_audit").execute(&mut admin).await.expect("the role");
    sqlx::query("SELECT * FROM audit.queue_health").execute(&mut admin).await.expect("a reader reads");
    owner.close().await.expect("close");
    admin.close().await.expect("close");
    cluster.stop().await.expect("stop");
}

/// Rows that the scans of a plan looked at in tables with a history.
fn rows_read(node: &Value) -> f64 {
    let number = |name: &str| node[name].as_f64().unwrap_or(0.0);
    let table = node["Relation Name"].as_str().unwrap_or_default();
    let has_history = ["events", "job_history", "telegram_messages", "event_keys", "order"]
        .iter()
        .any(|name| table.starts_with(name));
    let own = if has_history {
        (number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck"))
            * number("Actual Loops")
    } else {
        0.0
    };
    own + node["Plans"].as_array().map_or(0.0, |plans| plans.iter().map(rows_read).sum())
}

/// A question reads what it is about, however long the history is. `AUDIT_HISTORY_EVENTS` makes it longer: with
/// 3400000 there are ten million finished jobs.
#[tokio::test]
async fn questions_read_their_own_part_of_the_history() {
    #[expect(clippy::disallowed_methods, reason = "how long a person wants the history")]
    let events: i64 =
        std::env::var("AUDIT_HISTORY_EVENTS").map_or(20_000, |text| text.parse().expect("a number"));
    let days = 10;
    let database = database().await;
    let mut connection = database.pool.acquire().await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET history.events = {events}; SET history.days = {days}; SET jit = off"
    )))
    .execute(&mut *connection)
    .await
    .expect("settings");
    sqlx::raw_sql(AssertSqlSafe(
        std::fs::read_to_string(root().join("tests/data/history.sql")).expect("the history"),
    ))
    .execute(&mut *connection)
    .await
    .expect("a history");
    let event: String =
        sqlx::query_scalar("SELECT id::text FROM pushbox.events WHERE subject = 'H0000001002'")
            .fetch_one(&mut *connection)
            .await
            .expect("an event");
    #[expect(clippy::cast_precision_loss, reason = "few days")]
    let day = events as f64 / f64::from(days);
    let questions = questions();
    let asked = |number: usize| questions[&number].replace(EVENT, &event).replace(ORDER, "H0000001002");
    // The rows of one hour or day: events, their three jobs, and the one after the border.
    for (query, at_most) in [
        (asked(1), 200.0),
        (asked(2), 200.0),
        (asked(3), 200.0),
        (asked(5), 0.0),
        (asked(6), 0.0),
        (asked(7), 10.0 * day),
        (asked(8), 30.0 * day),
        (asked(9), day),
        // Repetitions of three days, what came late in thirty: few of what was pushed.
        (asked(10), day),
        (asked(11), day),
        (asked(12), day),
        // Seven days and what is left of an eighth.
        (asked(16), 8.0 * day),
        (asked(18), 8.0 * day),
        ("SELECT * FROM audit.daily_summary WHERE day = (now() AT TIME ZONE 'UTC')::date - 2".to_owned(), 5.0 * day),
        ("SELECT * FROM audit.delivery_latency WHERE hour = date_trunc('hour', now() - interval '30 hours')".to_owned(), day),
        // While the day is young its part of the history is read whole, once for each of the four queues.
        (asked(14), 4.0 * 3.0 * day),
        (asked(15), 0.0),
        (asked(17), 200.0),
        (asked(19), 0.0),
        (asked(20), 0.0),
    ] {
        let sql = format!("EXPLAIN (ANALYZE, FORMAT JSON) {query}");
        let plan: Value = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *connection).await.expect(&query);
        let read = rows_read(&plan[0]["Plan"]);
        println!("{read:>9} rows, {:>8.1} ms: {}", plan[0]["Execution Time"].as_f64().unwrap_or(0.0) + plan[0]["Planning Time"].as_f64().unwrap_or(0.0), query.replace('\n', " "));
        assert!(read <= at_most, "reads {read} rows, at most {at_most}: {query}\n{plan:#}");
    }
}
