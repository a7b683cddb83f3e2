//! The invariants that `pushbox audit` checks. Each statement returns one row per break, described in words;
//! none means that it holds. They only read.

use sqlx::PgPool;

/// One promise, and the statement that finds its breaks.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// Stable short name.
    pub name: &'static str,
    /// What is promised.
    pub promise: &'static str,
    breaks: &'static str,
}

/// What became of the events that asked for jobs of one kind first.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Balance {
    /// Kind of the job.
    pub kind: String,
    /// Events that are linked to a job of this kind.
    pub events: i64,
    /// Of them, served by a job that is done.
    pub done: i64,
    /// Served by one that waits.
    pub ready: i64,
    /// Served by one that runs.
    pub running: i64,
    /// Left with one that is dead.
    pub dead: i64,
    /// Left with one that was cancelled.
    pub cancelled: i64,
}

/// Every promise about the tables, in the order of a push's way.
pub const INVARIANTS: &[Invariant] = &[
    Invariant {
        name: "event_has_jobs",
        promise: "no event without the jobs it asked for",
        breaks: "SELECT format('event %s asked for %s jobs of kind %s and is linked to %s',
                               e.id, asked.jobs, asked.kind, count(l.job_id))
                 FROM pushbox.events e
                 CROSS JOIN LATERAL (SELECT kind, count(*) AS jobs FROM unnest(e.first_jobs) AS kind GROUP BY kind) asked
                 LEFT JOIN LATERAL (
                     SELECT id AS job_id, kind FROM pushbox.jobs WHERE event_id = e.id
                     UNION SELECT id, kind FROM pushbox.jobs WHERE merged_events <> '{}' AND merged_events @> ARRAY[e.id]
                     UNION SELECT id, kind FROM pushbox.job_history WHERE event_id = e.id
                     UNION SELECT id, kind FROM pushbox.job_history
                           WHERE merged_events <> '{}' AND merged_events @> ARRAY[e.id]) l ON l.kind = asked.kind
                 GROUP BY e.id, asked.kind, asked.jobs HAVING count(l.job_id) < asked.jobs",
    },
    Invariant {
        name: "event_has_key",
        promise: "no event without its key while it may be sent again",
        breaks: "SELECT format('event %s of %s has no key', e.id, e.received_at)
                 FROM pushbox.events e
                 WHERE e.received_at > now() - interval '3 days'
                   AND NOT EXISTS (SELECT FROM pushbox.event_keys k WHERE k.event_id = e.id)",
    },
    Invariant {
        name: "key_has_event",
        promise: "no key without its event, until retention drops the event",
        breaks: "SELECT format('key %s of %s names event %s, which is not there', k.key, k.source, k.event_id)
                 FROM pushbox.event_keys k
                 WHERE k.expires_at > now()
                   AND NOT EXISTS (SELECT FROM pushbox.events e WHERE e.id = k.event_id)
                   AND EXISTS (SELECT FROM pushbox.events e WHERE e.id < k.event_id)",
    },
    Invariant {
        name: "job_in_one_place",
        promise: "a job is alive or in the history, never both, and ends once",
        breaks: "SELECT format('job %s is %s and in the history', j.id, j.state)
                 FROM pushbox.jobs j WHERE EXISTS (SELECT FROM pushbox.job_history h WHERE h.id = j.id)
                 UNION ALL
                 SELECT format('job %s ended %s times', id, count(*)) FROM pushbox.job_history
                 GROUP BY id HAVING count(*) > 1",
    },
    Invariant {
        name: "job_is_consistent",
        promise: "running jobs have a claim and a lease, ready ones have neither, dead ones say why",
        breaks: "SELECT format('job %s is %s with claim %s, lease %s, error %s', id, state, claim_id, lease_until, last_error)
                 FROM pushbox.jobs
                 WHERE CASE state WHEN 'running' THEN claim_id IS NULL OR lease_until IS NULL
                                  WHEN 'ready' THEN claim_id IS NOT NULL OR lease_until IS NOT NULL
                                  ELSE last_error IS NULL END",
    },
    Invariant {
        name: "one_at_a_time",
        promise: "no two jobs of one kind and key run at the same time",
        breaks: "SELECT format('%s jobs of kind %s and key %s run', count(*), kind, key) FROM pushbox.jobs
                 WHERE state = 'running' AND key IS NOT NULL GROUP BY kind, key HAVING count(*) > 1",
    },
    Invariant {
        name: "order_never_backwards",
        promise: "an order shows the newest state it was ever seen in",
        breaks: "SELECT format('order %s shows %s of %s and was seen in a state of %s',
                               o.order_sn, o.status, o.update_time, max(h.update_time))
                 FROM pushbox.orders o JOIN pushbox.order_status_history h USING (platform, shop_id, order_sn)
                 GROUP BY o.platform, o.shop_id, o.order_sn HAVING max(h.update_time) > o.update_time",
    },
    Invariant {
        name: "income_adds_up",
        promise: "the lines' shares add up to the order's payout",
        breaks: "SELECT format('order %s: lines %s, payout %s', order_sn, sum(i.net_income), n.escrow_amount)
                 FROM pushbox.order_items i JOIN pushbox.order_income n USING (platform, shop_id, order_sn)
                 WHERE i.net_income IS NOT NULL
                 GROUP BY platform, shop_id, order_sn, n.escrow_amount
                 HAVING sum(i.net_income) <> n.escrow_amount",
    },
    Invariant {
        name: "sheet_not_behind",
        promise: "no sheet row behind its order without a job on the way, alive or dead",
        breaks: "SELECT format('the row of order %s in %s shows %s of %s, the order is %s of %s',
                               r.order_sn, r.spreadsheet_id, r.status, r.update_time, o.status, o.update_time)
                 FROM pushbox.sheet_rows r JOIN pushbox.orders o USING (platform, shop_id, order_sn)
                 WHERE r.update_time < o.update_time AND NOT EXISTS (
                     SELECT FROM pushbox.jobs j WHERE j.kind = 'upsert_sheet_row'
                       AND j.payload->>'spreadsheet_id' = r.spreadsheet_id AND j.payload->>'order_sn' = r.order_sn)
                 -- A person may have given it up.
                 AND NOT EXISTS (
                     SELECT FROM pushbox.job_history h WHERE h.kind = 'upsert_sheet_row' AND h.outcome = 'cancelled'
                       AND h.finished_at > r.written_at
                       AND h.payload->>'spreadsheet_id' = r.spreadsheet_id AND h.payload->>'order_sn' = r.order_sn)",
    },
    Invariant {
        name: "announced_once",
        promise: "every announcement that is done is in the ledger",
        breaks: "SELECT format('event %s was announced in chat %s by job %s and is not in the ledger',
                               h.event_id, h.payload->>'chat_id', h.id)
                 FROM pushbox.job_history h
                 WHERE h.kind = 'notify_event' AND h.outcome = 'done' AND h.note IS NULL AND NOT EXISTS (
                     SELECT FROM pushbox.telegram_messages m WHERE m.event_id = h.event_id AND m.state <> 'intended')",
    },
    Invariant {
        name: "forwarded_once",
        promise: "every forward that is done was accepted by its target",
        breaks: "SELECT format('event %s was forwarded to %s by job %s and its delivery is %s',
                               h.event_id, h.payload->>'target', h.id, coalesce(d.state, 'missing'))
                 FROM pushbox.job_history h
                 LEFT JOIN pushbox.deliveries d ON d.target = h.payload->>'target' AND d.event_id = h.event_id
                 WHERE h.kind = 'forward_event' AND h.outcome = 'done' AND h.note IS NULL
                   AND d.state IS DISTINCT FROM 'delivered'",
    },
    Invariant {
        name: "actions_unaltered",
        promise: "no record of what people changed was altered, moved or taken away",
        breaks: "SELECT format('admin action %s of %s is not the one that was recorded, or the one before it is missing', id, at)
                 FROM (SELECT a, id, at, seq, hash, lag(hash, 1, ''::bytea) OVER chain AS before,
                              lag(seq, 1, 0::bigint) OVER chain AS seq_before
                       FROM pushbox.admin_actions a WINDOW chain AS (ORDER BY seq)) linked
                 WHERE hash IS DISTINCT FROM pushbox.admin_action_hash(before, a) OR seq IS DISTINCT FROM seq_before + 1
                 UNION ALL
                 SELECT format('the last of %s admin actions is missing', c.seq)
                 FROM pushbox.admin_chain c
                 WHERE c.hash IS DISTINCT FROM coalesce(
                     (SELECT hash FROM pushbox.admin_actions WHERE seq = c.seq), CASE WHEN c.seq = 0 THEN ''::bytea END)",
    },
    Invariant {
        name: "partitions_in_time",
        promise: "no row missed its daily partition",
        breaks: "SELECT format('%s events of %s wait in the default partition', count(*), received_at::date)
                 FROM pushbox.events_default GROUP BY received_at::date
                 UNION ALL
                 SELECT format('%s finished jobs of %s wait in the default partition', count(*), finished_at::date)
                 FROM pushbox.job_history_default GROUP BY finished_at::date",
    },
];

impl Invariant {
    /// Up to `limit` breaks, in words.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn breaks(&self, pool: &PgPool, limit: i64) -> Result<Vec<String>, sqlx::Error> {
        let sql = format!("SELECT b FROM ({}) AS found(b) LIMIT {limit}", self.breaks);
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await
    }
}

/// Conservation: what was accepted is done, waiting, running or dead, per kind of job. An event that several
/// jobs of a kind serve counts once, by the best that came of it.
///
/// # Errors
/// When the database refuses.
pub async fn balances(pool: &PgPool) -> Result<Vec<Balance>, sqlx::Error> {
    sqlx::query_as(
        "WITH linked AS (
             SELECT kind, state AS fate, unnest(array_remove(event_id || merged_events, NULL)) AS event FROM pushbox.jobs
             UNION ALL
             SELECT kind, outcome, unnest(array_remove(event_id || merged_events, NULL)) FROM pushbox.job_history
             WHERE outcome <> 'merged'
         ), best AS (
             SELECT kind, event,
                    min(CASE fate WHEN 'done' THEN 1 WHEN 'running' THEN 2 WHEN 'ready' THEN 3 WHEN 'dead' THEN 4
                                  ELSE 5 END) AS rank
             FROM linked GROUP BY kind, event
         )
         SELECT kind, count(*) AS events, count(*) FILTER (WHERE rank = 1) AS done,
                count(*) FILTER (WHERE rank = 3) AS ready, count(*) FILTER (WHERE rank = 2) AS running,
                count(*) FILTER (WHERE rank = 4) AS dead, count(*) FILTER (WHERE rank = 5) AS cancelled
         FROM best GROUP BY kind ORDER BY kind",
    )
    .fetch_all(pool)
    .await
}

/// Events stored, and redeliveries of them that were absorbed.
///
/// # Errors
/// When the database refuses.
pub async fn accepted(pool: &PgPool) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM pushbox.events),
                (SELECT coalesce(sum(redeliveries), 0)::bigint FROM pushbox.event_keys)",
    )
    .fetch_one(pool)
    .await
}
