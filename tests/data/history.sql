-- A history to measure the audit views over: `history.events` events spread evenly over `history.days` days up to now,
-- each with an order, three finished jobs and a message. Every hundredth came twice, every thousandth was lost first.
--
--   psql -c "SET history.events = 3300000" -c "SET history.days = 60" -f tests/data/history.sql
SELECT pushbox.ensure_partitions((now() AT TIME ZONE 'UTC')::date - current_setting('history.days')::integer,
                                 current_setting('history.days')::integer + 2);

CREATE TEMPORARY TABLE made AS
SELECT n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
               || '8' || lpad(to_hex(n), 15, '0'))::uuid AS id,
       (10000000 + n % 50)::text AS shop_id, 'H' || lpad(n::text, 10, '0') AS order_sn
FROM (SELECT n, date_trunc('milliseconds', now() - (current_setting('history.days')::integer * interval '1 day')
                        * (1 - n / current_setting('history.events')::float8)) AS at
      FROM generate_series(1, current_setting('history.events')::integer) n) t;

INSERT INTO pushbox.events (id, source, account, code, kind, subject, payload, body_sha256, occurred_at, received_at, via, first_jobs)
SELECT id, 'shopee', shop_id, '3', 'order_status', order_sn,
       jsonb_build_object('code', 3, 'shop_id', shop_id::bigint, 'data', jsonb_build_object('ordersn', order_sn, 'status', 'SHIPPED')),
       '\x00', at - interval '1 second', at, CASE WHEN n % 1000 = 0 THEN 'lost_push' ELSE 'push' END, '{enrich_order}'
FROM made;
INSERT INTO pushbox.event_keys (source, key, event_id, expires_at, redeliveries, last_seen_at)
SELECT 'shopee', '3:' || shop_id || ':' || order_sn, id, at + interval '7 days', CASE WHEN n % 100 = 0 THEN 1 ELSE 0 END,
       CASE WHEN n % 100 = 0 THEN at + interval '1 minute' END
FROM made WHERE at > now() - interval '7 days';
INSERT INTO pushbox.job_history (id, queue, kind, key, batch_key, payload, outcome, attempt, crashes, worker, event_id,
                                 merged_events, errors, note, created_at, started_at, finished_at)
SELECT -(3::bigint * n + k.i), k.queue, k.kind, shop_id || ':' || order_sn, 'shopee:' || shop_id,
       jsonb_build_object('platform', 'shopee', 'shop_id', shop_id, 'order_sn', order_sn), 'done', 1, 0, 'w', id,
       '{}', '[]', k.note, at, at + k.i * interval '500 milliseconds', least(now(), at + k.i * interval '1 second')
FROM made CROSS JOIN (VALUES (0, 'enrich', 'enrich_order', NULL), (1, 'sheet', 'upsert_sheet_row', 'appended'),
                             (2, 'notify', 'notify_event', NULL)) AS k(i, queue, kind, note);
INSERT INTO pushbox.telegram_messages (chat_id, event_id, part, parts, state, thread_id, message_id, sent_at)
SELECT -1001, id, 0, 1, 'sent', 3, n, at + interval '2 seconds' FROM made;
-- Every third event has an order of its own; the others are later states of one.
INSERT INTO pushbox.orders (platform, shop_id, order_sn, status, region, create_time, update_time, currency, total_amount, cod, packages, snapshot)
SELECT 'shopee', shop_id, order_sn, 'SHIPPED', 'SG', at, at, 'SGD', 10, false, '[]', '{}' FROM made WHERE n % 3 = 0;
INSERT INTO pushbox.order_status_history (platform, shop_id, order_sn, update_time, status, seen_at, event_id)
SELECT 'shopee', shop_id, order_sn, at, 'SHIPPED', at, id FROM made WHERE n % 3 = 0;
-- Every 3000th is missing in the sheet.
INSERT INTO pushbox.sheet_rows (spreadsheet_id, platform, shop_id, order_sn, status, update_time, item_rows, content_sha256, written_at)
SELECT 'sheet-1', 'shopee', shop_id, order_sn, 'SHIPPED', at, 1, '\x01', at + interval '1 second' FROM made WHERE n % 3 = 0 AND n % 3000 <> 0;
DROP TABLE made;
ANALYZE pushbox.events, pushbox.job_history, pushbox.event_keys, pushbox.telegram_messages, pushbox.orders,
        pushbox.order_status_history, pushbox.sheet_rows;
-- What autovacuum does in time: the block ranges of BRIN indexes.
SELECT count(brin_summarize_new_values(c.oid)) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
WHERE a.amname = 'brin' AND c.relkind = 'i' AND c.relnamespace = 'pushbox'::regnamespace;
