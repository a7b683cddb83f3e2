//! Sources by declaration, over HTTP: every vector of the platforms, what must be accepted and what must not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::TestApp;

const VECTORS: &str = include_str!("../data/source_vectors.json");

/// One source for each secret of the vectors; the time of attempts long past is not looked at here.
const SOURCES: &str = r#"
[[sources]]
preset = "shoplazza"
auth.secrets = ["spz-client-secret-4f0c9b7e"]
[[sources]]
preset = "shopify"
auth.secrets = ["shpss_composed_3b6f0a1d"]
[[sources]]
preset = "shopery"
auth.secrets = ["old-secret-1", "shy-endpoint-secret-2c8e"]
[[sources]]
name = "omisell"
preset = "omisell"
auth.secrets = ["omi-hook-secret-7Q2x"]
[[sources]]
name = "omisell-b"
preset = "omisell"
variant = "b"
url = "https://hooks.example.com/v1/in/omisell/shop-7"
auth.secrets = ["omi-partner-key-91ac"]
[[sources]]
name = "omisell-c"
preset = "omisell"
variant = "c"
auth = { secrets = ["omi-app-secret-55d2"], params = { app_key = "omi-app-1007" } }
[[sources]]
preset = "lazada"
auth = { secrets = ["lzd-app-secret-7e21"], params = { app_key = "139683" } }
[[sources]]
name = "tiktok-0"
preset = "tiktok_shop"
auth = { secrets = ["123"], params = { app_key = "abcdef" } }
[[sources]]
name = "tiktok-1"
preset = "tiktok_shop"
auth = { secrets = ["tts-app-secret-0c44"], params = { app_key = "6a7b8c9d0e" } }
ack = { bad_auth = 503 }
[[sources]]
name = "standard"
preset = "standard_webhooks"
auth.secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="]
time.tolerance_s = "none"
ack = { ok = 204 }
[[sources]]
name = "strict-standard"
preset = "standard_webhooks"
auth.secrets = ["whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="]
[[sources]]
name = "expired"
preset = "shoplazza"
auth.secrets = [{ value = "spz-client-secret-4f0c9b7e", not_after = 2026-02-01T00:00:00Z }]
[[sources]]
name = "bound"
preset = "shoplazza"
auth.secrets = ["spz-client-secret-4f0c9b7e"]
account.expect = { store-a = "demo-a.myshoplaza.com" }
limits.body_bytes = "1KiB"
"#;

async fn start() -> TestApp {
    let off = [
        ("SPREADSHEET_ID", ""),
        ("GOOGLE_CREDENTIALS_JSON", ""),
        ("GOOGLE_SHEETS_URL", ""),
        ("TELEGRAM_BOT_TOKEN", ""),
        ("TELEGRAM_CHAT_ID", ""),
        ("TELEGRAM_API_URL", ""),
    ];
    TestApp::start_with_toml(&off, SOURCES).await
}

struct Vector {
    id: String,
    headers: Vec<(String, String)>,
    header: String,
    proof: String,
    body: Vec<u8>,
}

impl Vector {
    fn source(&self) -> &'static str {
        match self.id.as_str() {
            "SPZ-1" | "SPZ-2" => "shoplazza",
            "SHF-1" => "shopify",
            "OMI-B" => "omisell-b",
            "OMI-C" => "omisell-c",
            "LZD-1" => "lazada",
            "TTS-0" => "tiktok-0",
            "TTS-1" => "tiktok-1",
            _ => "standard",
        }
    }

    fn request(&self, app: &TestApp, path: &str, proof: &str) -> reqwest::RequestBuilder {
        let mut request = app.request(Method::POST, path).header(&self.header, proof);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.body.clone())
    }

    async fn send(&self, app: &TestApp, path: &str, proof: &str) -> StatusCode {
        self.request(app, path, proof).send().await.expect("an answer").status()
    }
}

fn vectors() -> Vec<Vector> {
    let all: Value = serde_json::from_str(VECTORS).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let read = |one: &Value| Vector {
        id: text(&one["id"]),
        headers: one["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        header: text(&one["header"]),
        proof: text(&one["proof"]),
        body: STANDARD.decode(text(&one["body"])).expect("base64"),
    };
    all.as_array().expect("a list").iter().map(read).collect()
}

fn vector(id: &str) -> Vector {
    vectors().into_iter().find(|one| one.id == id).expect(id)
}

const EVENTS: &str = "SELECT count(*) FROM pushbox.events";

#[tokio::test]
async fn every_vector_is_stored_once_with_the_bytes_it_came_in() {
    let app = start().await;
    for vector in vectors() {
        let path = format!("/webhook/{}", vector.source());
        let expected = if vector.source() == "standard" { StatusCode::NO_CONTENT } else { StatusCode::OK };
        for _ in 0..3 {
            let answer = vector.request(&app, &path, &vector.proof).send().await.expect("an answer");
            assert_eq!(answer.status(), expected, "{}", vector.id);
            assert_eq!(answer.text().await.expect("a body"), "", "{}", vector.id);
        }
    }
    let count = i64::try_from(vectors().len()).expect("few");
    assert_eq!(app.count(EVENTS).await, count);
    assert_eq!(app.count("SELECT sum(redeliveries)::bigint FROM pushbox.event_keys").await, 2 * count);
    let (kind, account, subject, version, secret): (String, String, String, String, Option<String>) =
        sqlx::query_as(
            "SELECT kind, account, subject, headers->>'x-shoplazza-api-version',
                    headers->>'x-shoplazza-hmac-sha256'
             FROM pushbox.events WHERE source = 'shoplazza' AND code = 'orders/paid'",
        )
        .fetch_one(&app.pool)
        .await
        .expect("the event");
    assert_eq!(
        (kind.as_str(), account.as_str(), subject.as_str(), version.as_str()),
        ("orders_paid", "demo-a.myshoplaza.com", "183211-00000042", "2026-01")
    );
    assert_eq!(secret, None, "the proof is not kept");
    app.app.stop().await;
}

#[tokio::test]
async fn near_misses_and_broken_proofs_store_nothing() {
    let app = start().await;
    let misses = [
        ("SPZ-1", "f9f9eaf48e185e744f19852cac633e7a0ea736ac9a8c0128a66dbcb946330368"),
        ("SPZ-2", "PZzTaIIF0qZY67ebhyUhMusG1B7fM2yOB1kmEwhrzgg="),
        ("LZD-1", "0c4f1832be50c67ee90238d0e4c8f6115170e59e943d97d52b45f9c2ba10fa1b"),
        ("TTS-1", "6f038f9fd8279abdc8c5d80248b042ea395255330bb9ccd97b649ceb2ab717b1"),
        ("STW-1", "v1,wnneT0YTsQjU1zVEQ82PTaXD8JPA/amDILxTvpGn2Po="),
        ("OMI-B", "f747ba6140ffa22db85d179d957bf48c73977d094160cc732f3b32f1bb669f04"),
        ("OMI-B", "fba679aa5f9993e91d65c58b4cd897963deedf07239e05d6b1686c4044b782e0"),
    ];
    for (id, proof) in misses {
        let vector = vector(id);
        let refused = if id == "TTS-1" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNAUTHORIZED };
        assert_eq!(vector.send(&app, &format!("/webhook/{}", vector.source()), proof).await, refused, "{id}");
    }
    for mut vector in vectors() {
        let path = format!("/webhook/{}", vector.source());
        let proof = vector.proof.clone();
        for broken in ["", &proof[..proof.len() - 1]] {
            assert_ne!(vector.send(&app, &path, broken).await, StatusCode::OK, "{}: {broken}", vector.id);
        }
        let twice = vector.request(&app, &path, &proof).header(&vector.header, &proof);
        assert_eq!(twice.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST, "{}", vector.id);
        let encoded = vector.request(&app, &path, &proof).header("content-encoding", "gzip");
        assert_eq!(encoded.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST);
        vector.body[5] ^= 1;
        assert!(vector.send(&app, &path, &proof).await.as_u16() >= 400, "{}: a changed byte", vector.id);
    }
    let stale = vector("STW-1");
    let answer = stale.send(&app, "/webhook/strict-standard", &stale.proof).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED, "an attempt of long ago");
    let expired = vector("SPZ-1");
    let answer = expired.send(&app, "/webhook/expired", &expired.proof).await;
    assert_eq!(answer, StatusCode::UNAUTHORIZED, "an expired secret");
    assert_eq!(app.count(EVENTS).await, 0);
    let upper = vector("LZD-1");
    let answer = upper.send(&app, "/webhook/lazada", &upper.proof.to_uppercase()).await;
    assert_eq!(answer, StatusCode::OK, "POS-1");
    app.app.stop().await;
}

#[tokio::test]
async fn fixed_secrets_pass_whole_or_not_at_all() {
    let app = start().await;
    let send = async |path: &str, header: &str, value: &str| {
        let body = json!({"id": "ord_01J", "status": "CREATED", "n": rand_number()}).to_string();
        let request = app.request(Method::POST, path).header(header, value).body(body);
        request.send().await.expect("an answer").status()
    };
    let shopery = "/webhook/shopery/tenant-3";
    for (value, expected) in [
        ("shy-endpoint-secret-2c8e", StatusCode::OK),
        ("old-secret-1", StatusCode::OK),
        ("shy-endpoint-secret-2c8E", StatusCode::UNAUTHORIZED),
        ("shy-endpoint-secret-2c8", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(send(shopery, "X-Shopery-Secret", value).await, expected, "{value}");
    }
    assert_eq!(send(shopery, "X-Other", "x").await, StatusCode::UNAUTHORIZED, "SHY-4");
    let omisell = "/webhook/omisell/shop-7";
    assert_eq!(send(omisell, "Authorization", "omi-hook-secret-7Q2x").await, StatusCode::OK);
    let bearer = send(omisell, "Authorization", "Bearer omi-hook-secret-7Q2x").await;
    assert_eq!(bearer, StatusCode::UNAUTHORIZED, "OMI-A2");
    let accounts = "SELECT count(*) FROM pushbox.events WHERE account IN ('tenant-3', 'shop-7')";
    assert_eq!(app.count(accounts).await, 3);
    let test = app.request(Method::POST, shopery).header("X-Shopery-Secret", "old-secret-1").send();
    assert_eq!(test.await.expect("an answer").status(), StatusCode::OK, "the Test URL button: no body");
    app.app.stop().await;
}

fn rand_number() -> u128 {
    uuid::Uuid::now_v7().as_u128() >> 64
}

#[tokio::test]
async fn the_account_in_the_path_binds_an_unsigned_header() {
    let app = start().await;
    let vector = vector("SPZ-1");
    for (path, expected) in [
        ("/webhook/shoplazza/demo-b", StatusCode::UNAUTHORIZED),
        ("/webhook/bound", StatusCode::UNAUTHORIZED),
        ("/webhook/bound/store-b", StatusCode::UNAUTHORIZED),
        ("/webhook/bound/store-a", StatusCode::OK),
        ("/webhook/shoplazza/demo-a", StatusCode::OK),
        ("/webhook/shoplazza/demo-a.myshoplaza.com/more", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(vector.send(&app, path, &vector.proof).await, expected, "{path}");
    }
    let long = app.request(Method::POST, "/webhook/bound/store-a").body(vec![b' '; 1025]);
    assert_eq!(long.send().await.expect("an answer").status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(app.count(EVENTS).await, 2);
    app.app.stop().await;
}

#[tokio::test]
async fn what_is_signed_but_unreadable_is_kept() {
    let app = start().await;
    let bodies: [&[u8]; 3] = [b"payload=%7B%7D", b"\xff\xfe", b""];
    for body in bodies {
        let request = app.request(Method::POST, "/webhook/omisell/shop-7");
        let request = request.header("authorization", "omi-hook-secret-7Q2x").body(body.to_vec());
        assert_eq!(request.send().await.expect("an answer").status(), StatusCode::OK, "{body:?}");
    }
    let kept = "SELECT count(*) FROM pushbox.events WHERE kind = 'unreadable' AND body IS NOT NULL
                AND account = 'shop-7' AND payload IS NULL";
    assert_eq!(app.count(kept).await, 3);
    app.app.stop().await;
}
