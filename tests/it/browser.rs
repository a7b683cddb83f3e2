//! The pages in a real browser: what people press, what they see move, on a desk and on a phone. Passes by where
//! there is no Chromium, except where it must be there: `BROWSER_TESTS_REQUIRED`.

use serde_json::{Value, json};

use crate::support::app::{CALLBACK, CHAT, PUSH_KEY, SHOP, TestApp, order, status_push};
use crate::support::browser::Browser;

const TOKEN: &str = "full-token-of-the-browser";
const READ_TOKEN: &str = "read-token-of-the-browser";

/// axe-core, unchanged.
const AXE: &str = include_str!("../data/axe/axe.min.js");

struct Stage {
    app: TestApp,
    browser: Browser,
}

impl Stage {
    /// A pushbox that did one order, and a browser.
    async fn start() -> Option<Self> {
        let browser = Browser::start().await?;
        let app = TestApp::start_with(&[("ADMIN_TOKEN", TOKEN), ("ADMIN_READ_TOKEN", READ_TOKEN)]).await;
        let stage = Self { app, browser };
        stage.order("B1").await;
        stage.app.drain().await;
        Some(stage)
    }

    async fn order(&self, number: &str) {
        let (detail, escrow) = order(number, "READY_TO_SHIP", 1_790_000_200);
        self.app.simulator.put_order(SHOP, detail, escrow);
        self.app.push(&status_push(number, "READY_TO_SHIP", 1_790_000_200)).await;
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.app.admin_address())
    }

    async fn open(&mut self, path: &str) {
        let url = self.at(path);
        self.browser.open(&url).await;
    }

    async fn sign_in(&mut self, token: &str) {
        self.open("/dashboard/sign-in").await;
        self.browser.click("#token").await;
        self.browser.enter(token).await;
        self.browser.press("Enter").await;
        self.browser.arrive("/dashboard").await;
    }

    async fn dead_jobs(&self, count: i64) {
        sqlx::query(
            "INSERT INTO pushbox.jobs (queue, kind, key, batch_key, payload, state, attempt, max_attempts, event_id,
                                       last_error, errors)
             SELECT 'sheet', 'upsert_sheet_row', 'dead ' || n, h.batch_key, h.payload, 'dead', 20, 20, h.event_id,
                    'tab ' || n || ' is protected', '[]'
             FROM pushbox.job_history h, generate_series(1, $1) n WHERE h.kind = 'upsert_sheet_row'",
        )
        .bind(count)
        .execute(&self.app.pool)
        .await
        .expect("dead jobs");
    }

    async fn end(self) {
        assert!(self.browser.complaints().is_empty(), "{:#?}", self.browser.complaints());
        drop(self.browser);
        self.app.app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_with_the_keyboard_alone() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.open("/dashboard/orders").await;
    // Nobody is let in without a token; the field has the focus.
    stage.browser.until("document.activeElement.id === 'token'").await;
    stage.browser.enter("wrong").await;
    stage.browser.press("Enter").await;
    stage.browser.reads("neither ADMIN_TOKEN nor ADMIN_READ_TOKEN").await;
    stage.browser.until("document.activeElement.id === 'token'").await;
    stage.browser.enter(TOKEN).await;
    stage.browser.press("Enter").await;
    // What was wanted first is shown.
    stage.browser.arrive("/dashboard/orders").await;
    stage.browser.press("o").await;
    stage.browser.arrive("/dashboard").await;
    stage.browser.reads("All is well").await;
    stage.browser.press("r").await;
    stage.browser.arrive("/dashboard/orders").await;
    stage.browser.press("/").await;
    stage.browser.until("document.activeElement.name === 'order_sn'").await;
    stage.browser.enter("B1").await;
    stage.browser.press("Enter").await;
    stage
        .browser
        .until("location.search.includes('order_sn=B1') && document.readyState === 'complete'")
        .await;
    stage.browser.ask("document.querySelector('.search button').focus()").await;
    stage.browser.press("Tab").await;
    stage.browser.until("document.activeElement.textContent === 'B1'").await;
    stage.browser.press("Enter").await;
    stage.browser.until("location.pathname.endsWith('/B1') && document.readyState === 'complete'").await;
    stage.browser.reads("READY_TO_SHIP").await;
    stage.browser.reads("up to date").await;
    // The first Tab of a page leads past the navigation.
    stage.browser.press("Tab").await;
    stage.browser.until("document.activeElement.className === 'skip'").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_group_is_retried_and_a_queue_is_paused_and_resumed() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.dead_jobs(3).await;
    stage.sign_in(TOKEN).await;
    stage.browser.reads("3 jobs of sheet given up").await;
    stage.browser.click(".verdict a[href*='state=dead']").await;
    stage.browser.arrive("/dashboard/jobs").await;
    stage.open("/dashboard/jobs?state=dead").await;
    stage.browser.reads("tab # is protected").await;
    stage.browser.click("a[href*='action=retry'][href*='error_group']").await;
    stage.browser.reads("Retry 3 jobs?").await;
    stage.browser.click("main form button").await;
    // Its end is seen without a reload.
    stage.browser.reads("3 of 3 jobs changed").await;
    stage.app.drain().await;

    stage.open("/dashboard/queues").await;
    stage.browser.click("form[action='/dashboard/queues/sheet/pause'] input[name=reason]").await;
    stage.browser.enter("the sheet moves").await;
    stage.browser.press("Enter").await;
    stage.browser.reads("Resume sheet").await;
    stage.order("B2").await;
    stage.app.until("SELECT count(*) FROM pushbox.jobs WHERE queue = 'sheet' AND state = 'ready'").await;
    stage.browser.click("form[action='/dashboard/queues/sheet/resume'] button").await;
    stage.browser.reads("Pause sheet").await;
    stage.app.drain().await;
    stage.open("/dashboard/actions").await;
    for word in ["start bulk operation", "pause queue", "resume queue", "ADMIN_TOKEN, dashboard"] {
        stage.browser.reads(word).await;
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_paused_and_resumed_with_the_keyboard() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.sign_in(TOKEN).await;
    stage.browser.press("d").await;
    stage.browser.arrive("/dashboard/destinations").await;
    stage.browser.ask("document.querySelector(\"[aria-label^='Pause sheet']\").focus()").await;
    stage.browser.press("Enter").await;
    stage.browser.until("document.activeElement.closest('details').open").await;
    stage.browser.press("Tab").await;
    stage.browser.until("document.activeElement.name === 'reason'").await;
    stage.browser.enter("the sheet moves").await;
    // What happens meanwhile takes nothing from what is being written.
    stage.order("B2").await;
    stage.browser.until("document.activeElement.value === 'the sheet moves'").await;
    stage.browser.press("Enter").await;
    stage.browser.reads("the sheet moves").await;
    stage.order("B3").await;
    stage.app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE 'paused by a person%'").await;
    stage.browser.click("[aria-label^='Resume sheet']").await;
    stage.browser.until("!!document.querySelector(\"[aria-label^='Pause sheet']\")").await;
    stage.app.drain().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn push_settings_are_changed_after_a_look_at_what_would_change() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.sign_in(TOKEN).await;
    stage.browser.press("y").await;
    stage.browser.arrive("/dashboard/shopee").await;
    stage.browser.click("summary").await;
    stage.browser.click("input[name=code][value='4']").await;
    stage.browser.click("form[action='/dashboard/shopee/preview'] button").await;
    stage.browser.reads("code 4").await;
    stage.browser.click("form[action='/dashboard/shopee'] button").await;
    stage.browser.arrive("/dashboard/shopee").await;
    stage.browser.reads("Push settings of app").await;
    let off = stage.browser.ask("document.querySelector('input[name=code][value=\"4\"]').checked").await;
    assert_eq!(off, false);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_follows_what_happens_without_a_flicker() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.sign_in(TOKEN).await;
    stage.open("/dashboard/events").await;
    stage.browser.reads("B1").await;
    // A page that were loaded or built anew would lose all of these.
    stage
        .browser
        .ask(
            "window.mark = document.querySelector('table'); const field = document.querySelector('[name=subject]');
             field.focus(); field.value = 'half a wo'; window.scrollTo(0, 10); window.was = scrollY; true",
        )
        .await;
    stage.order("B3").await;
    stage.browser.reads("B3").await;
    stage
        .browser
        .until(
            "window.mark === document.querySelector('table') && scrollY === window.was
             && document.activeElement.value === 'half a wo'",
        )
        .await;
    stage.app.drain().await;
    stage
        .browser
        .until("[...document.querySelectorAll('tbody tr')].every((row) => row.innerText.includes('done'))")
        .await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_has_nothing_to_press() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.dead_jobs(1).await;
    stage.sign_in(READ_TOKEN).await;
    for path in [
        "/dashboard/jobs?state=dead",
        "/dashboard/queues",
        "/dashboard/schedules",
        "/dashboard/settings",
        "/dashboard/replays",
        "/dashboard/destinations",
        "/dashboard/shops",
        "/dashboard/shopee",
        "/dashboard/reconciliations",
    ] {
        stage.open(path).await;
        stage.browser.reads("read only").await;
        let buttons = stage.browser.ask("document.querySelectorAll('main form[method=post]').length").await;
        assert_eq!(buttons, 0, "{path}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_push_is_shown_with_what_is_nearly_right_about_it() {
    let Some(mut stage) = Stage::start().await else { return };
    let body = json!({"code": 99, "shop_id": 5, "timestamp": 1_790_000_000}).to_string();
    let elsewhere = format!("{CALLBACK}/");
    let proof = pushbox::domain::shopee::signature::url_body(PUSH_KEY, &elsewhere, body.as_bytes());
    let request = stage.app.webhook().header("authorization", hex::encode(proof));
    assert_eq!(request.body(body).send().await.expect("an answer").status().as_u16(), 401);
    stage.app.until("SELECT count(*) FROM pushbox.rejections WHERE near_miss").await;
    stage.sign_in(TOKEN).await;
    stage.browser.press("f").await;
    stage.browser.arrive("/dashboard/rejections").await;
    stage.browser.reads("webhook/shopee/").await;
    stage.browser.click("tbody a").await;
    stage.browser.reads("Not acceptable now").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_is_changed_and_tried_out() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.sign_in(TOKEN).await;
    stage.browser.press("t").await;
    stage.browser.arrive("/dashboard/settings").await;
    // A wrong value is said, with what was typed still there.
    stage.browser.ask("document.getElementById('ORDER_EVENT_CODES').select()").await;
    stage.browser.click("#ORDER_EVENT_CODES").await;
    stage.browser.enter(",five").await;
    stage.browser.press("Enter").await;
    stage.browser.reads("Nothing was saved").await;
    stage.browser.until("document.getElementById('ORDER_EVENT_CODES').value.includes('five')").await;
    stage.browser.ask("document.getElementById('ORDER_EVENT_CODES').value = '3,4,29'").await;
    stage.browser.click("#ORDER_EVENT_CODES").await;
    stage.browser.press("Enter").await;
    stage.browser.reads("Saved as version 1").await;
    stage.app.until("SELECT count(*) FROM pushbox.workers WHERE settings_version = 1").await;
    stage.browser.click("button[name=reset][value=ORDER_EVENT_CODES]").await;
    stage.browser.reads("Saved as version 2").await;
    let announced = stage.app.simulator.messages(CHAT).len();
    stage.browser.click("form[action='/dashboard/settings/try/message'] button").await;
    stage.browser.reads("is in chat").await;
    assert_eq!(stage.app.simulator.messages(CHAT).len(), announced + 1);
    stage.browser.click("form[action='/dashboard/settings/try/push'] button").await;
    stage.browser.until("location.pathname.startsWith('/dashboard/events/')").await;
    stage.app.drain().await;
    stage.end().await;
}

/// The pages there are, with something on each.
async fn pages(stage: &Stage) -> Vec<String> {
    let (event, job): (String, i64) = sqlx::query_as(
        "SELECT e.id::text, j.id FROM pushbox.events e, pushbox.jobs j WHERE j.state = 'dead' LIMIT 1",
    )
    .fetch_one(&stage.app.pool)
    .await
    .expect("an event and a dead job");
    for sql in [
        "INSERT INTO pushbox.destinations (kind, name, state, paused_until, opened_at, reason, pace) VALUES
             ('forward', 'https://erp.example.com/a/very/long/path/that/does/not/break/by/itself?and=more', 'open',
              now() + interval '5 minutes', now(), 'HTTP 503', 2)",
        "INSERT INTO pushbox.destinations (kind, name, paused_at, paused_reason) VALUES
             ('sheet', 'another', now(), 'it moves')",
        "INSERT INTO pushbox.shops (platform, shop_id, state, state_reason, refresh_failures, refresh_error) VALUES
             ('shopee', '77', 'reauthorize', 'the seller has taken it back', 4, 'HTTP 502')",
        "INSERT INTO pushbox.reconciliations (platform, shop_id, kind, time_from, time_to, state, error)
         VALUES ('shopee', '77', 'manual', now() - interval '1 day', now(), 'failed', 'refused')",
    ] {
        sqlx::query(sql).execute(&stage.app.pool).await.expect(sql);
    }
    let mut pages: Vec<String> = [
        "",
        "?window=week",
        "/sign-in",
        "/events",
        "/orders",
        "/jobs?state=dead",
        "/jobs?state=ready",
        "/bulk",
        "/bulk/preview?action=retry&queue=sheet",
        "/replays",
        "/replays/preview?target=events&hours=24",
        "/queues",
        "/destinations",
        "/shops",
        "/shopee",
        "/shopee/preview?code=3",
        "/reconciliations",
        "/reconciliations/1",
        "/schedules",
        "/settings",
        "/settings?saved=3",
        "/rejections",
        "/actions",
        "/events/not-an-id",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    pages.extend([
        format!("/events/{event}"),
        format!("/events/{event}/replay"),
        format!("/orders/shopee/{SHOP}/B1"),
        format!("/jobs/{job}"),
    ]);
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_a_phone_and_is_accessible() {
    let Some(mut stage) = Stage::start().await else { return };
    stage.dead_jobs(2).await;
    stage.sign_in(TOKEN).await;
    let mut faults = Vec::new();
    for page in pages(&stage).await {
        for (width, dark) in [(1280, false), (390, true), (390, false)] {
            stage.browser.window(width, dark).await;
            stage.open(&format!("/dashboard{page}")).await;
            // What is folded has to fit and be accessible, too.
            stage
                .browser
                .ask("document.querySelectorAll('details').forEach((one) => (one.open = true)); true")
                .await;
            let wide = stage.browser.ask("document.documentElement.scrollWidth").await;
            if wide.as_u64() > Some(width.into()) {
                faults.push(format!("{page} at {width}: is {wide} wide"));
            }
            stage.browser.ask(AXE).await;
            let violations = stage.browser.ask("axe.run().then((found) => found.violations)").await;
            for one in violations.as_array().expect("a list") {
                let nodes: Vec<&Value> = one["nodes"]
                    .as_array()
                    .expect("nodes")
                    .iter()
                    .map(|node| &node["html"])
                    .take(3)
                    .collect();
                faults.push(format!("{page} at {width}, dark {dark}: {}: {}", one["help"], json!(nodes)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    stage.end().await;
}
