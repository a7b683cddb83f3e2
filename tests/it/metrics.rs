//! What a scrape shows after some work.

use pushbox::observability::metrics::ALL;
use reqwest::StatusCode;

use crate::support::app::{SHOP, TestApp, order, status_push};

#[tokio::test]
async fn a_scrape_after_work_shows_what_was_done() {
    let app = TestApp::start().await;
    let (detail, escrow) = order("M1", "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("M1", "READY_TO_SHIP", 1_790_000_200)).await;
    app.drain().await;

    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let url = format!("http://{}/metrics", app.app.admin_address());
    let mut text = String::new();
    // The first scrape is itself a request that the second one shows.
    for _ in 0..2 {
        let answer = http.get(&url).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        text = answer.text().await.expect("text");
    }
    for metric in ALL {
        let shown = text.lines().any(|line| line.starts_with(metric.name));
        assert!(shown, "{} was never observed:\n{text}", metric.name);
    }
    for sample in [
        r#"pushbox_jobs_total{queue="enrich",outcome="claimed"}"#,
        r#"pushbox_jobs_total{queue="enrich",outcome="completed"}"#,
        r#"pushbox_jobs_total{queue="sheet",outcome="completed"}"#,
        r#"pushbox_job_seconds_count{queue="notify",kind="notify_event"}"#,
        r#"pushbox_client_calls_total{service="shopee",endpoint="order/get_order_detail",outcome="ok"}"#,
    ] {
        assert!(text.contains(sample), "{sample} is missing:\n{text}");
    }
    app.finish().await;
}
