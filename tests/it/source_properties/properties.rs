//! What holds for any bytes that somebody may send, whatever they are.
//!
//! `fuzz/` compiles this file too: a fuzzer looks for inputs that break these properties, and the suite tries a
//! bounded number of them each time. An input begins with a byte that chooses the source and one of flags.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use pushbox::config::{Config, Inputs, Role, Roles};
use pushbox::domain::event::Payload;
use pushbox::domain::order::OrderRef;
use pushbox::domain::platforms;
use pushbox::domain::push::ParsedPush;
use pushbox::domain::shopee::View;
use pushbox::domain::sources::{Header, Headers, Pushed, Reading, Rules, Source};
use sha2::Sha256;

use super::json::Node;

/// Longer than what an index entry can hold: no key and no name may be.
const LONGEST: usize = 2000;

/// What a source's proof is, told once more: nothing here calls what it judges.
#[derive(Debug, Clone, Copy)]
pub enum Oracle {
    /// HMAC in hex over these texts and the body behind them.
    Hex(&'static str),
    /// HMAC in base64 over the body.
    Base64,
    /// The secret itself.
    Fixed,
    /// HMAC in base64, tagged `v1,`, in a list, over id, time and body.
    Items,
}

/// A source as it is declared, its secret, and what its proof is.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    pub name: &'static str,
    pub toml: &'static str,
    pub key: &'static [u8],
    pub oracle: Oracle,
    /// Headers beside the proof, as the platform sends them.
    pub headers: &'static [(&'static str, &'static str)],
}

pub const SHOPEE_KEY: &str = "shopee-push-key-of-the-properties";
pub const SHOPEE_URL: &str = "https://hooks.example.com/webhook/shopee";

pub const GIVEN: &[Given] = &[
    Given {
        name: "shopee",
        toml: "",
        key: SHOPEE_KEY.as_bytes(),
        oracle: Oracle::Hex("https://hooks.example.com/webhook/shopee|"),
        headers: &[],
    },
    Given {
        name: "shoplazza",
        toml: "preset = 'shoplazza'\nauth.secrets = ['spz-client-secret-4f0c9b7e']",
        key: b"spz-client-secret-4f0c9b7e",
        oracle: Oracle::Base64,
        headers: &[
            ("x-shoplazza-topic", "orders/paid"),
            ("x-shoplazza-shop-domain", "demo-a.myshoplaza.com"),
            ("x-shoplazza-deduplication-id", "7d1f6a52-9c0e-4a4b-8a51-2f1f3c1d0001"),
        ],
    },
    Given {
        name: "shopery",
        toml: "preset = 'shopery'\nauth.secrets = ['shy-endpoint-secret-2c8e']",
        key: b"shy-endpoint-secret-2c8e",
        oracle: Oracle::Fixed,
        headers: &[],
    },
    Given {
        name: "omisell-b",
        toml: "name = 'omisell-b'\npreset = 'omisell'\nvariant = 'b'\nauth.secrets = ['omi-partner-key-91ac']\n\
               url = 'https://hooks.example.com/v1/in/omisell/shop-7'",
        key: b"omi-partner-key-91ac",
        oracle: Oracle::Hex("https://hooks.example.com/v1/in/omisell/shop-7|"),
        headers: &[],
    },
    Given {
        name: "shopify",
        toml: "preset = 'shopify'\nauth.secrets = ['shpss_composed_3b6f0a1d']",
        key: b"shpss_composed_3b6f0a1d",
        oracle: Oracle::Base64,
        headers: &[
            ("x-shopify-topic", "orders/paid"),
            ("x-shopify-shop-domain", "demo-b.myshopify.com"),
            ("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5"),
            ("x-shopify-triggered-at", "2026-02-03T09:05:06.123456789Z"),
        ],
    },
    Given {
        name: "lazada",
        toml: "preset = 'lazada'\nauth = { secrets = ['lzd-app-secret-7e21'], params = { app_key = '139683' } }",
        key: b"lzd-app-secret-7e21",
        oracle: Oracle::Hex("139683"),
        headers: &[],
    },
    Given {
        name: "tiktok_shop",
        toml: "preset = 'tiktok_shop'\nauth = { secrets = ['tts-app-secret-0c44'], params = { app_key = '6a7b8c9d0e' } }",
        key: b"tts-app-secret-0c44",
        oracle: Oracle::Hex("6a7b8c9d0e"),
        headers: &[],
    },
    Given {
        name: "standard_webhooks",
        toml: "preset = 'standard_webhooks'\nauth.secrets = ['whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=']",
        key: b"@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_",
        oracle: Oracle::Items,
        headers: &[("webhook-id", "msg_2composed0000000000001"), ("webhook-timestamp", "1770091506")],
    },
];

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let declared = GIVEN.iter().filter(|one| !one.toml.is_empty());
    let toml = declared.map(|one| format!("[[sources]]\n{}\n", one.toml)).collect::<Vec<_>>().concat();
    let variables = [("WEBHOOK_PARTNER_KEY", SHOPEE_KEY), ("CALLBACK_URL", SHOPEE_URL)];
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let inputs = Inputs {
        environment: environment.collect(),
        toml: Some(("pushbox.toml".into(), toml)),
        ..Inputs::default()
    };
    let loaded = Config::load(&inputs, &Roles::from_iter([Role::Receiver]));
    let sources = loaded.unwrap_or_else(|faults| panic!("{faults}")).config.sources;
    let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, GIVEN.iter().map(|one| one.name).collect::<Vec<_>>());
    sources
});

/// Headers of a request, any bytes.
pub struct Sent<'a> {
    named: &'a [(&'static str, &'static str)],
    proof: (&'a str, Header<'a>),
}

impl Headers for Sent<'_> {
    fn find(&self, name: &str) -> Header<'_> {
        if name == self.proof.0 {
            return self.proof.1;
        }
        let found = self.named.iter().find(|(one, _)| *one == name);
        found.map_or(Header::Absent, |(_, value)| Header::One(value.as_bytes()))
    }
}

/// Headers as whoever signs has them.
struct Named(&'static [(&'static str, &'static str)]);

impl Named {
    fn texts(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

/// The source, the flags and the rest of an input.
fn chosen(data: &[u8]) -> Option<(usize, u8, &[u8])> {
    let [which, flags, rest @ ..] = data else { return None };
    Some((usize::from(*which) % GIVEN.len(), *flags, rest))
}

fn pushed<'a>(headers: &'a Sent<'_>, flags: u8, body: &'a [u8]) -> Pushed<'a> {
    let account = (flags & 2 != 0).then_some("demo-a");
    Pushed { headers, account, body, at: now(), address: None }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_091_600, 0).expect("a time")
}

fn read(at: usize, flags: u8, body: &[u8]) -> Option<ParsedPush> {
    let named = if flags & 1 == 0 { GIVEN[at].headers } else { &[] };
    let headers = Sent { named, proof: ("", Header::Absent) };
    match SOURCES[at].read(&pushed(&headers, flags, body)) {
        Reading::Probe => None,
        Reading::Push(push) => Some(*push),
    }
}

/// Any body has a reading that Postgres can hold, the same each time, with every byte of it.
pub fn parse(data: &[u8]) {
    let Some((at, flags, body)) = chosen(data) else { return };
    let Some(push) = read(at, flags, body) else {
        assert!(SOURCES[at].rules == Rules::Shopee, "only Shopee probes");
        return;
    };
    assert_eq!(read(at, flags, body).as_ref(), Some(&push), "a second reading differs");
    let texts =
        [Some(&push.key), Some(&push.code), Some(&push.kind), push.account.as_ref(), push.subject.as_ref()];
    for text in texts.into_iter().flatten() {
        assert!(
            !text.is_empty() && text.len() <= LONGEST && !text.contains('\0'),
            "not for Postgres: {text:?}"
        );
    }
    match &push.payload {
        Payload::Json(text) => {
            assert_eq!(text.as_bytes(), body, "the payload is not what was sent");
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "not JSON");
        }
        Payload::Raw { body: kept, parse_error } => {
            assert_eq!(kept, body, "the payload is not what was sent");
            assert!(!parse_error.is_empty());
            assert!(push.order.is_none(), "an order out of what is not JSON");
        }
    }
    if let Some(hint) = &push.order {
        assert_eq!(Some(&hint.order.shop_id), push.account.as_ref());
    }
    // What people are shown of it, and the order that it may carry, whatever it was sent as.
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    for code in 0..50 {
        View::of(&code.to_string(), &value).lines();
    }
    for platform in ["shoplazza", "shopery", "shopify"] {
        let order = OrderRef { platform: platform.into(), shop_id: "1".into(), order_sn: "A".into() };
        if let Some(read) = platforms::order_of(&order, &value, now()) {
            assert_eq!(read.reference, order);
        }
    }
}

/// What a JSON text means decides on the key: not its spacing, nor the order of members, nor how characters are
/// escaped, nor which of equal members came first.
pub fn keys(data: &[u8]) {
    let Some((at, flags, body)) = chosen(data) else { return };
    let Some(push) = read(at, flags, body) else { return };
    let Payload::Json(text) = &push.payload else { return };
    // A body that is known by its bytes is another when they are; and nobody knows what a number means that has
    // no double.
    if push.key.contains("sha256:")
        || push.code == "unreadable"
        || serde_json::from_str::<serde_json::Value>(text).is_err()
    {
        return;
    }
    let Some(tree) = Node::read(text) else { return };
    let mut ways =
        vec![("spaced", tree.write(false, true)), ("reordered and escaped", tree.write(true, false))];
    if SOURCES[at].rules == Rules::Shopee {
        if let Some(within) = tree.with_text("data") {
            ways.push(("with data in a text", within.write(false, false)));
        }
        // Where there is no other clock, the envelope's belongs to the key.
        if !["1", "2", "10"].contains(&push.code.as_str()) {
            ways.push(("of a retry", tree.without(&["timestamp", "msg_id"]).write(false, false)));
        }
    }
    for (how, text) in ways {
        let other = read(at, flags, text.as_bytes());
        let other = other.unwrap_or_else(|| panic!("{how}, it is a probe: {text}"));
        assert_eq!(other.key, push.key, "{how}, the key differs: {text}");
        assert_eq!((&other.code, &other.account), (&push.code, &push.account), "{how}: {text}");
        assert_eq!((&other.subject, &other.order), (&push.subject, &push.order), "{how}: {text}");
    }
}

/// The proof as the platform would send it.
pub fn proof_of(given: &Given, body: &[u8]) -> Vec<u8> {
    let mac = |before: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(given.key).expect("any length");
        mac.update(before.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes()
    };
    match given.oracle {
        Oracle::Hex(before) => hex::encode(mac(before)).into_bytes(),
        Oracle::Base64 => STANDARD.encode(mac("")).into_bytes(),
        Oracle::Fixed => given.key.to_vec(),
        Oracle::Items => {
            let before: Vec<String> = given.headers.iter().map(|(_, value)| format!("{value}.")).collect();
            let before = before.concat();
            format!("v1,{}", STANDARD.encode(mac(&before))).into_bytes()
        }
    }
}

/// Whether a header proves that its sender has the secret.
fn proves(given: &Given, header: &[u8], proof: &[u8]) -> bool {
    let header = header.trim_ascii();
    match given.oracle {
        Oracle::Hex(_) => header.eq_ignore_ascii_case(proof),
        Oracle::Base64 | Oracle::Fixed => header == proof,
        Oracle::Items => header.split(|byte| *byte == b' ').any(|item| {
            let item = item.trim_ascii();
            item.strip_prefix(b"v1,").is_some_and(|text| Some(text) == proof.strip_prefix(b"v1,"))
        }),
    }
}

/// Nothing is accepted without a proof, everything with one is, and no explanation tells a secret.
pub fn proofs(data: &[u8]) {
    let Some((at, flags, rest)) = chosen(data) else { return };
    let (given, source) = (&GIVEN[at], &SOURCES[at]);
    let [length, rest @ ..] = rest else { return };
    let (bent, body) = rest.split_at(rest.len().min(usize::from(*length)));
    let proof = proof_of(given, body);
    // Bit 2: the header is these bytes. Else it is the proof, bent by them.
    let value = if flags & 4 != 0 {
        bent.to_vec()
    } else {
        let mut value = proof.clone();
        for pair in bent.chunks_exact(2) {
            let place = usize::from(pair[0]) % (value.len() + 1);
            match pair[1] {
                0xff => value.truncate(place),
                // The header comes without what HTTP would not let through.
                byte if place == value.len() => value.push(byte),
                bits => value[place] ^= bits,
            }
        }
        value
    };
    let header = match flags & 0x18 {
        0x18 => Header::Several,
        0x10 => Header::Absent,
        _ => Header::One(&value),
    };
    let headers = Sent { named: given.headers, proof: (source.auth.header.as_str(), header) };
    let push = pushed(&headers, flags, body);
    let valid = matches!(header, Header::One(_)) && proves(given, &value, &proof);
    assert_eq!(source.sign(&Named(given.headers).texts(), body), String::from_utf8(proof.clone()).ok());
    let answer = source.verify(&push);
    assert_eq!(answer.is_ok(), valid, "{}: {answer:?} for {:?}", given.name, String::from_utf8_lossy(&value));
    if !valid {
        let text = source.explain(&push).text;
        let secret = String::from_utf8_lossy(given.key);
        assert!(
            !text.contains(&*secret) && !text.contains(&*String::from_utf8_lossy(&proof)),
            "tells: {text}"
        );
    }
    let _ = source.check_account(&push, push.account);
}
