//! Subscriptions are watched and made again, and what no push told of is found by polling.

use pushbox::simulator::shop::Shop;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{CHAT, TestApp};

const ADDRESS: &str = "https://hooks.example.com/webhook/shoplazza";

fn toml(shop: &Shop, recreate: bool) -> String {
    format!(
        "[[sources]]\npreset = 'shoplazza'\nauth.secrets = ['spz']\n\
         api = {{ url = '{url}', token = 'token-1', account = 'demo-a.myshoplaza.com' }}\n\
         subscriptions = {{ address = '{ADDRESS}', topics = ['orders/create', 'orders/paid'], recreate = {recreate} }}\n\
         [[sources]]\npreset = 'shopery'\nauth.secrets = ['shy']\n\
         api = {{ url = '{url}', token = 'token-1', tenant = 't-1' }}\n\
         subscriptions = {{ address = 'https://hooks.example.com/webhook/shopery', topics = ['order-created'] }}\n",
        url = shop.url
    )
}

/// An app that has looked once already: a run that is asked for meanwhile could be the same.
async fn started(shop: &Shop, recreate: bool) -> TestApp {
    let app = TestApp::start_with_toml(&[], &toml(shop, recreate)).await;
    app.until(
        "SELECT (count(*) = 2)::int::bigint FROM pushbox.schedules
         WHERE name IN ('watch_subscriptions', 'poll_orders') AND last_success_at IS NOT NULL",
    )
    .await;
    app
}

fn states(answer: &Value, source: &str) -> Vec<String> {
    let list = answer["subscriptions"].as_array().expect("a list");
    let of = list.iter().filter(|one| one["source"] == source);
    of.map(|one| {
        format!("{} {}", one["topic"].as_str().unwrap_or_default(), one["state"].as_str().unwrap_or_default())
    })
    .collect()
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_told_and_made_again() {
    let shop = Shop::start("token-1").await.expect("a shop");
    let app = started(&shop, false).await;
    app.run_schedule("watch_subscriptions").await;
    let told = app.admin("/subscriptions").await;
    assert_eq!(states(&told, "shoplazza"), ["orders/create missing", "orders/paid missing"]);
    assert!(
        app.admin("/alerts")
            .await
            .to_string()
            .contains("shoplazza is not subscribed to orders/create, orders/paid")
    );

    let (status, told) = app.api("POST", "/subscriptions/shoplazza/ensure", None).await;
    assert_eq!((status, &told["created"]), (StatusCode::OK, &json!(2)), "{told}");
    let (_, again) = app.api("POST", "/subscriptions/shoplazza/ensure", None).await;
    assert_eq!(again["created"], 0, "what is there is left alone");
    assert_eq!(states(&again, "shoplazza"), ["orders/create active", "orders/paid active"]);
    assert_eq!(shop.with(|world| world.subscriptions.len()), 2);
    let open =
        "SELECT count(*) FROM pushbox.alerts WHERE key = 'subscriptions:shoplazza' AND resolved_at IS NULL";
    assert_eq!(app.count(open).await, 0);

    // Shopery cannot be asked: what was made is remembered and not made twice.
    for created in [1, 0] {
        let (_, told) = app.api("POST", "/subscriptions/shopery/ensure", None).await;
        assert_eq!(told["created"], created, "{told}");
        assert_eq!(states(&told, "shopery"), ["order-created unknown"]);
    }
    assert_eq!(app.api("POST", "/subscriptions/shopee/ensure", None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.admin_actions WHERE action = 'ensure_subscriptions'").await,
        4
    );

    // A topic without its scope is refused; the others are made.
    shop.with(|world| {
        world.subscriptions.clear();
        world.refused_topics.push("orders/paid".to_owned());
    });
    let (_, told) = app.api("POST", "/subscriptions/shoplazza/ensure", None).await;
    assert_eq!(states(&told, "shoplazza"), ["orders/create active", "orders/paid missing"]);
    assert!(told.to_string().contains("lacks the scope"), "{told}");
    shop.with(|world| world.broken = Some(401));
    let (status, told) = app.api("POST", "/subscriptions/shoplazza/ensure", None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(told.to_string().contains("Set api.token") && !told.to_string().contains("token-1"), "{told}");
    app.app.stop().await;
}

#[tokio::test]
async fn with_recreate_the_task_subscribes_again() {
    let shop = Shop::start("token-1").await.expect("a shop");
    let app = started(&shop, true).await;
    for _ in 0..2 {
        shop.with(|world| world.subscriptions.retain(|(topic, _)| topic != "orders/paid"));
        app.run_schedule("watch_subscriptions").await;
        assert_eq!(shop.with(|world| world.subscriptions.len()), 2, "made again, and nothing twice");
    }
    app.app.stop().await;
}

#[tokio::test]
async fn an_order_that_no_push_told_of_is_found_and_a_late_push_writes_nothing_older() {
    let shop = Shop::start("token-1").await.expect("a shop");
    let app = started(&shop, false).await;
    let now = pushbox::clock::system().now();
    let at = |minutes: i64| {
        (now - chrono::TimeDelta::minutes(minutes)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    let order = |id: u32, status: &str, minutes: i64| {
        json!({"id": id.to_string(), "status": status, "currency": "USD", "total_price": "10.00", "created_at": at(300),
               "updated_at": at(minutes), "line_items": [{"sku": "S", "title": "Pot", "quantity": 1, "price": "10.00"}]})
    };
    shop.with(|world| world.orders = (1..=5).map(|id| order(id, "placed", 8)).collect());
    let done = app.run_schedule("poll_orders").await;
    assert_eq!(done["schedule"]["last_result"], json!({"found": 5, "listed": 5}), "{done}");
    app.drain().await;
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.orders WHERE platform = 'shoplazza' AND status = 'placed'")
            .await,
        5
    );
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.events WHERE via = 'reconcile' AND source = 'shoplazza'")
            .await,
        5
    );

    // Nothing new: the overlap is read again and finds nothing.
    shop.with(|world| world.orders[0] = order(1, "finished", 5));
    assert_eq!(app.run_schedule("poll_orders").await["schedule"]["last_result"]["found"], 1);
    assert_eq!(app.run_schedule("poll_orders").await["schedule"]["last_result"]["found"], 0);
    app.drain().await;
    let finished = "SELECT count(*) FROM pushbox.orders WHERE order_sn = '1' AND status = 'finished'";
    assert_eq!(app.count(finished).await, 1);

    // The push of the older state arrives after all.
    let body = json!({"order": order(1, "placed", 8)}).to_string();
    let digest = pushbox::domain::shopee::signature::body_only("spz", body.as_bytes());
    let proof = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(digest)
    };
    let push = app.request(Method::POST, "/webhook/shoplazza").header("x-shoplazza-hmac-sha256", proof);
    let push = push
        .header("x-shoplazza-topic", "orders/create")
        .header("x-shoplazza-shop-domain", "demo-a.myshoplaza.com");
    let push = push.header("x-shoplazza-deduplication-id", "late").body(body);
    assert_eq!(push.send().await.expect("an answer").status(), StatusCode::OK);
    app.drain().await;
    assert_eq!(app.count(finished).await, 1, "never backwards");
    assert!(app.simulator.messages(CHAT).len() >= 6);

    // A shop that is away costs nothing: the next look begins where the last good one ended.
    shop.with(|world| {
        world.broken = Some(503);
        world.orders.push(order(6, "placed", 4));
    });
    assert!(!app.run_schedule("poll_orders").await["schedule"]["last_error"].is_null());
    shop.with(|world| world.broken = None);
    assert_eq!(app.run_schedule("poll_orders").await["schedule"]["last_result"]["found"], 1);
    app.finish().await;
}

/// A shop, an app that is reached under the address it subscribes, and the events and announcements so far.
async fn subscribed(recreate: bool) -> (Shop, TestApp) {
    let shop = Shop::start("token-1").await.expect("a shop");
    let app = started(&shop, recreate).await;
    let public = app.app.public_address().expect("a receiver");
    let place = format!("http://{public}/webhook/shoplazza").parse().expect("a URL");
    shop.with(|world| world.places.insert(ADDRESS.to_owned(), place));
    let (status, told) = app.api("POST", "/subscriptions/shoplazza/ensure", None).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    (shop, app)
}

fn order(id: u32, status: &str, minutes_ago: i64) -> Value {
    let at = pushbox::clock::system().now() - chrono::TimeDelta::minutes(minutes_ago);
    json!({"id": id.to_string(), "status": status, "currency": "USD", "total_price": "10.00",
           "created_at": "2026-01-01T00:00:00Z",
           "updated_at": at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
           "line_items": [{"sku": "S", "title": "Pot", "quantity": 1, "price": "10.00"}]})
}

const EVENTS: &str = "SELECT count(*) FROM pushbox.events WHERE source = 'shoplazza'";
const ANNOUNCED: &str = "SELECT count(DISTINCT event_id) FROM pushbox.telegram_messages WHERE state = 'sent'";

#[tokio::test]
async fn a_subscription_is_lost_in_an_outage_and_nothing_else_is() {
    let (shop, app) = subscribed(true).await;
    let (first, second) = (order(1, "placed", 9), order(2, "placed", 8));
    assert_eq!(shop.push("spz", "orders/create", "d-1", &json!({"order": first})).await, [Some(200)]);
    app.drain().await;
    assert_eq!((app.count(EVENTS).await, app.count(ANNOUNCED).await), (1, 1));

    // Nobody answers for two days: Shoplazza deletes the subscription, and says nothing.
    let places = shop.with(|world| std::mem::take(&mut world.places));
    assert_eq!(shop.push("spz", "orders/create", "d-2", &json!({"order": second})).await, [None]);
    assert_eq!(shop.with(|world| world.subscriptions.len()), 1);
    shop.with(|world| {
        world.places = places;
        world.orders = vec![first.clone(), second.clone()];
    });

    let watched = app.run_schedule("watch_subscriptions").await;
    assert_eq!(
        watched["schedule"]["last_result"],
        json!({"active": 2, "missing": 1, "created": 1}),
        "{watched}"
    );
    let alerts = app.admin("/alerts").await.to_string();
    assert!(
        alerts.contains("shoplazza had lost its subscription to orders/create; it was made again"),
        "{alerts}"
    );
    let polled = app.run_schedule("poll_orders").await;
    assert_eq!(polled["schedule"]["last_result"]["found"], 1, "{polled}");
    app.drain().await;
    assert_eq!((app.count(EVENTS).await, app.count(ANNOUNCED).await), (2, 2));
    app.run_schedule("watch_subscriptions").await;
    let again = "SELECT count(*) FROM pushbox.alerts WHERE key = 'subscriptions:shoplazza:again' AND resolved_at IS NULL";
    assert_eq!(app.count(again).await, 0, "everything was in place");

    // Subscribed again, it pushes again.
    assert_eq!(
        shop.push("spz", "orders/create", "d-3", &json!({"order": order(3, "placed", 1)})).await,
        [Some(200)]
    );
    app.drain().await;
    assert_eq!((app.count(EVENTS).await, app.count(ANNOUNCED).await), (3, 3));
    app.finish().await;
}

#[tokio::test]
async fn a_change_is_announced_once_whichever_way_it_came_first() {
    let (shop, app) = subscribed(false).await;
    let found = async |expected: u64| {
        let polled = app.run_schedule("poll_orders").await;
        assert_eq!(polled["schedule"]["last_result"]["found"], expected, "{polled}");
    };
    // Polled first; its push and an older one come late and are kept, not told.
    let (first, older, last) = (order(1, "placed", 8), order(1, "placed", 9), order(1, "finished", 5));
    shop.with(|world| world.orders = vec![first.clone()]);
    found(1).await;
    app.drain().await;
    for (id, order) in [("late", &first), ("older", &older)] {
        let body = json!({ "order": order });
        assert_eq!(shop.push("spz", "orders/create", id, &body).await, [Some(200)]);
    }
    app.drain().await;
    assert_eq!((app.count(EVENTS).await, app.count(ANNOUNCED).await), (3, 1));

    // Pushed first, and still on its way through the queue: polling has nothing to add.
    assert_eq!(
        app.api("POST", "/queues/enrich/pause", Some(&json!({"reason": "a test"}))).await.0,
        StatusCode::OK
    );
    shop.with(|world| world.orders = vec![last.clone()]);
    let body = json!({ "order": last });
    assert_eq!(shop.push("spz", "orders/paid", "news", &body).await, [Some(200)]);
    found(0).await;
    assert_eq!(app.api("POST", "/queues/enrich/resume", None).await.0, StatusCode::OK);
    app.drain().await;
    assert_eq!((app.count(EVENTS).await, app.count(ANNOUNCED).await), (4, 2));
    app.finish().await;
}

#[tokio::test]
async fn a_used_up_budget_is_waited_for_and_a_young_change_left_to_its_push() {
    let (shop, app) = subscribed(false).await;
    shop.with(|world| {
        world.exhausted = 2;
        world.orders = vec![
            order(1, "placed", 8),
            order(2, "placed", 0),
            json!({"status": "no number", "updated_at": order(9, "", 5)["updated_at"]}),
        ];
    });
    let polled = app.run_schedule("poll_orders").await;
    assert_eq!(polled["schedule"]["last_result"], json!({"listed": 3, "found": 1}), "{polled}");
    assert_eq!(shop.with(|world| world.exhausted), 0);

    // A token that is refused is a person's business, and told once.
    shop.with(|world| world.broken = Some(401));
    for task in ["poll_orders", "watch_subscriptions", "poll_orders"] {
        assert!(!app.run_schedule(task).await["schedule"]["last_error"].is_null(), "{task}");
    }
    let open = "SELECT count(*) FROM pushbox.alerts WHERE resolved_at IS NULL AND key IN ('polling:shoplazza', 'subscriptions:shoplazza')";
    assert_eq!(app.count(open).await, 2);
    let told = app.admin("/alerts").await.to_string();
    assert!(told.contains("Set api.token") && !told.contains("token-1"), "{told}");
    shop.with(|world| world.broken = None);
    for task in ["poll_orders", "watch_subscriptions"] {
        app.run_schedule(task).await;
    }
    assert_eq!(app.count(open).await, 0);
    app.finish().await;
}

#[tokio::test]
async fn one_more_topic_is_subscribed_to_once_and_shown() {
    let (shop, app) = subscribed(false).await;
    let wanted = json!({"source": "shoplazza", "topic": "products/update"});
    for created in [1, 0] {
        let (status, told) = app.api("POST", "/subscriptions", Some(&wanted)).await;
        assert_eq!((status, &told["created"]), (StatusCode::OK, &json!(created)), "{told}");
    }
    assert_eq!(shop.with(|world| world.subscriptions.len()), 3);
    app.run_schedule("watch_subscriptions").await;
    let told = app.admin("/subscriptions").await;
    assert_eq!(
        states(&told, "shoplazza"),
        ["orders/create active", "orders/paid active", "products/update active"],
        "what was made by hand is shown until it is gone"
    );
    shop.with(|world| world.subscriptions.retain(|(topic, _)| topic != "products/update"));
    app.run_schedule("watch_subscriptions").await;
    assert_eq!(states(&app.admin("/subscriptions").await, "shoplazza").len(), 2);
    for (wanted, status) in [
        (json!({"source": "shopee", "topic": "x"}), StatusCode::BAD_REQUEST),
        (json!({"source": "shoplazza", "topic": "a b"}), StatusCode::BAD_REQUEST),
        (json!({"source": "shoplazza", "topic": ""}), StatusCode::BAD_REQUEST),
        (json!({"source": "shoplazza"}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (answer, told) = app.api("POST", "/subscriptions", Some(&wanted)).await;
        assert!(answer == status || answer == StatusCode::BAD_REQUEST, "{wanted}: {told}");
    }
    app.finish().await;
}
