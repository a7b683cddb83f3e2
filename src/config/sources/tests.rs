//! Declarations as they are written, against the vectors of the platforms.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::config::{Config, Inputs};
use crate::domain::push::ParsedPush;
use crate::domain::sources::{Headers as _, Pushed, Reading, Refusal};

const VECTORS: &str = include_str!("../../../tests/data/source_vectors.json");

fn load(toml: &str, roles: &Roles) -> Result<Vec<Source>, Vec<String>> {
    let environment = [("SPZ", "one,two"), ("EMPTY", " ")];
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let inputs =
        Inputs { environment, toml: Some(("pushbox.toml".into(), toml.to_owned())), ..Inputs::default() };
    Config::load(&inputs, roles).map(|loaded| loaded.config.sources).map_err(|faults| {
        faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.problem)).collect()
    })
}

fn one(toml: &str) -> Source {
    let receiver = Roles::from_iter([Role::Receiver]);
    let sources = load(&format!("[[sources]]\n{toml}"), &receiver);
    sources.unwrap_or_else(|faults| panic!("{toml}: {faults:?}")).remove(0)
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_770_091_600, 0).expect("a time")
}

fn faults(toml: &str) -> Vec<String> {
    load(toml, &Roles::from_iter([Role::Receiver])).expect_err(toml)
}

struct Vector {
    id: String,
    secret: String,
    headers: BTreeMap<String, String>,
    header: String,
    proof: String,
    body: Vec<u8>,
}

fn vectors() -> Vec<Vector> {
    let all: Json = serde_json::from_str(VECTORS).expect("JSON");
    let text = |one: &Json, key: &str| one[key].as_str().expect("a text").to_owned();
    let read = |one: &Json| Vector {
        id: text(one, "id"),
        secret: text(one, "secret"),
        headers: serde_json::from_value(one["headers"].clone()).expect("texts"),
        header: text(one, "header"),
        proof: text(one, "proof"),
        body: STANDARD.decode(text(one, "body")).expect("base64"),
    };
    all.as_array().expect("a list").iter().map(read).collect()
}

fn vector(id: &str) -> Vector {
    vectors().into_iter().find(|one| one.id == id).expect(id)
}

impl Vector {
    /// The declaration that the vector is for, with this list of secrets in TOML.
    fn source_with(&self, secrets: &str) -> Source {
        let more = match self.id.as_str() {
            "SPZ-1" | "SPZ-2" => "preset = 'shoplazza'",
            "SHF-1" => "preset = 'shopify'",
            "OMI-B" => {
                "preset = 'omisell'\nvariant = 'b'\nurl = 'https://hooks.example.com/v1/in/omisell/shop-7'"
            }
            "OMI-C" => "preset = 'omisell'\nvariant = 'C'\nauth.params = { app_key = 'omi-app-1007' }",
            "LZD-1" => "preset = 'lazada'\nauth.params = { app_key = '139683' }",
            "TTS-0" => "preset = 'tiktok-shop'\nauth.params = { app_key = 'abcdef' }",
            "TTS-1" => "preset = 'tiktok_shop'\nauth.params = { app_key = '6a7b8c9d0e' }",
            "STW-0" | "STW-1" => "preset = 'standard_webhooks'",
            other => panic!("{other}"),
        };
        one(&format!("{more}\nauth.secrets = {secrets}"))
    }

    fn source(&self) -> Source {
        self.source_with(&format!("['{}']", self.secret))
    }

    fn at(&self) -> DateTime<Utc> {
        let seconds = self.headers.get("webhook-timestamp").and_then(|text| text.parse().ok());
        DateTime::from_timestamp(seconds.unwrap_or(1_770_091_600), 0).expect("a time")
    }

    fn verify(&self, source: &Source, proof: &str) -> Result<usize, Refusal> {
        self.verify_at(source, proof, self.at())
    }

    fn verify_at(&self, source: &Source, proof: &str, at: DateTime<Utc>) -> Result<usize, Refusal> {
        let headers = self.headers_with(proof);
        let push = Pushed { headers: &headers, account: None, body: &self.body, at, address: None };
        source.verify(&push).map(|proof| proof.secret)
    }

    fn headers_with(&self, proof: &str) -> BTreeMap<String, String> {
        let mut headers = self.headers.clone();
        headers.insert(self.header.clone(), proof.to_owned());
        headers
    }

    fn explain(&self, source: &Source, proof: &str) -> String {
        let headers = self.headers_with(proof);
        source
            .explain(&Pushed {
                headers: &headers,
                account: None,
                body: &self.body,
                at: self.at(),
                address: None,
            })
            .text
    }

    fn read(&self, source: &Source) -> ParsedPush {
        let headers = self.headers_with(&self.proof);
        match source.read(&Pushed {
            headers: &headers,
            account: None,
            body: &self.body,
            at: self.at(),
            address: None,
        }) {
            Reading::Push(push) => *push,
            Reading::Probe => panic!("a probe"),
        }
    }
}

#[test]
fn every_preset_is_complete_but_for_its_secret() {
    for name in PRESET_NAMES {
        let params = "auth.params = { app_key = 'k' }";
        let source = one(&format!(
            "preset = '{name}'\nurl = 'https://h.example/x'\nauth.secrets = ['c2VjcmV0']\n{params}"
        ));
        assert_eq!((&*source.name, &*source.platform), (*name, *name));
        let lacking =
            faults(&format!("[[sources]]\npreset = '{name}'\nurl = 'https://h.example/x'\n{params}"));
        assert_eq!(
            lacking,
            ["pushbox.toml [[sources]] 1 auth.secrets: none is set; nothing could be verified"]
        );
    }
}

#[test]
fn every_vector_verifies_and_is_what_we_would_sign() {
    for vector in vectors() {
        let source = vector.source();
        assert_eq!(vector.verify(&source, &vector.proof), Ok(0), "{}", vector.id);
        assert_eq!(vector.verify(&source, &format!(" {}\t", vector.proof)), Ok(0), "{}: blanks", vector.id);
        assert_eq!(source.sign(&vector.headers, &vector.body), Some(vector.proof.clone()), "{}", vector.id);
        let with_another = vector.source_with(&format!("['c2VjcmV0', '{}']", vector.secret));
        assert_eq!(vector.verify(&with_another, &vector.proof), Ok(1), "{}: rotation", vector.id);
    }
}

#[test]
fn near_misses_fail_and_are_explained() {
    let cases = [
        ("SPZ-1", "f9f9eaf48e185e744f19852cac633e7a0ea736ac9a8c0128a66dbcb946330368", "written in hex"),
        ("SPZ-2", "PZzTaIIF0qZY67ebhyUhMusG1B7fM2yOB1kmEwhrzgg=", "re-encoded on its way"),
        ("LZD-1", "0c4f1832be50c67ee90238d0e4c8f6115170e59e943d97d52b45f9c2ba10fa1b", "the body alone"),
        ("TTS-1", "6f038f9fd8279abdc8c5d80248b042ea395255330bb9ccd97b649ceb2ab717b1", "no configured secret"),
        ("STW-1", "v1,wnneT0YTsQjU1zVEQ82PTaXD8JPA/amDILxTvpGn2Po=", "taken as text"),
        ("OMI-B", "f747ba6140ffa22db85d179d957bf48c73977d094160cc732f3b32f1bb669f04", "\"http://hooks"),
        ("OMI-B", "fba679aa5f9993e91d65c58b4cd897963deedf07239e05d6b1686c4044b782e0", "shop-7/\""),
        ("OMI-B", "omi-partner-key-91ac", "a fixed value"),
        (
            "LZD-1",
            "Bearer fcbc2e8d235a2154e8b20b31216eefbb1cad6d2c2be0035c82080a34176f5f36",
            "after `Bearer`",
        ),
        ("LZD-1", "fcbc", "64 hexadecimal digits, this has 4"),
    ];
    for (id, proof, explanation) in cases {
        let vector = vector(id);
        let source = vector.source();
        assert_eq!(vector.verify(&source, proof), Err(Refusal::Wrong), "{id} {proof}");
        let told = vector.explain(&source, proof);
        assert!(told.contains(explanation), "{id} {proof}: {told}");
        assert!(!told.contains(&vector.secret), "{told}");
    }
    let omisell = one(
        "preset = 'omisell'\nvariant = 'a'\nauth.secrets = ['omi-partner-key-91ac']\nurl = 'https://hooks.example.com/v1/in/omisell/shop-7'",
    );
    let told = vector("OMI-B").explain(&omisell, &vector("OMI-B").proof);
    assert!(told.starts_with("it matches callback URL \"https://hooks"), "{told}");
    let omisell = one(
        "preset = 'omisell'\nauth.secrets = ['omi-app-secret-55d2']\nauth.params = { app_key = 'omi-app-1007' }",
    );
    let told = vector("OMI-C").explain(&omisell, &vector("OMI-C").proof);
    assert!(told.starts_with("it matches app_key and body with secret 1"), "{told}");
    assert!(told.ends_with("that is variant = \"c\""), "{told}");
    let told = vector("OMI-C").explain(&omisell, &"0".repeat(64));
    assert!(told.ends_with("with url, variant b is tried too"), "{told}");
}

#[test]
fn any_change_of_the_body_or_of_the_proof_fails() {
    for mut vector in vectors() {
        let source = vector.source();
        let proof = vector.proof.clone();
        for broken in ["", " ", &proof[..proof.len() - 1], &format!("{proof}A"), &format!("x{proof}")] {
            assert!(vector.verify(&source, broken).is_err(), "{}: {broken:?}", vector.id);
        }
        for at in [0, vector.body.len() / 2, vector.body.len() - 1] {
            vector.body[at] ^= 1;
            assert_eq!(vector.verify(&source, &proof), Err(Refusal::Wrong), "{} byte {at}", vector.id);
            vector.body[at] ^= 1;
        }
        vector.body.push(b'\n');
        assert_eq!(vector.verify(&source, &proof), Err(Refusal::Wrong), "{}", vector.id);
    }
}

#[test]
fn hex_may_be_upper_case_and_base64_is_padded() {
    let lazada = vector("LZD-1");
    assert_eq!(lazada.verify(&lazada.source(), &lazada.proof.to_uppercase()), Ok(0));
    let shoplazza = vector("SPZ-1");
    let bare = shoplazza.proof.trim_end_matches('=');
    assert_eq!(shoplazza.verify(&shoplazza.source(), bare), Err(Refusal::Wrong));
}

#[test]
fn standard_webhooks_rotates_skips_and_keeps_time() {
    let vector = vector("STW-1");
    let old = "v1,dPx5tbeJ+hBuaFJH86vkb68ur4txaqvfQ9qP/beJQN4=";
    let both = format!("{old} {}", vector.proof);
    let source = vector.source();
    assert_eq!(vector.verify(&source, &both), Ok(0), "STW-2");
    let old_secret = vector.source_with("['whsec_YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3']");
    assert_eq!(vector.verify(&old_secret, &both), Ok(0), "STW-3");
    assert_eq!(vector.verify(&source, old), Err(Refusal::Wrong), "STW-4");
    assert_eq!(vector.verify(&source, &format!("v2,AAAA {}", vector.proof)), Ok(0), "STW-5");
    for (at, expected) in
        [(1_770_091_806, Ok(0)), (1_770_091_807, Err(Refusal::Stale)), (1_770_091_205, Err(Refusal::Stale))]
    {
        let at = DateTime::from_timestamp(at, 0).expect("a time");
        assert_eq!(vector.verify_at(&source, &vector.proof, at), expected, "STW-6 to 8: {at}");
    }
    let mut plus = self::vector("STW-1");
    plus.headers.insert("webhook-timestamp".into(), "+1770091506".into());
    let signed = source.sign(&plus.headers, &plus.body).expect("signed");
    let at = vector.at();
    assert_eq!(plus.verify_at(&source, &plus.proof, at), Err(Refusal::Wrong), "STW-9");
    assert_eq!(plus.verify_at(&source, &signed, at), Err(Refusal::Stale), "STW-9, even when it is signed");
    let public = vector.source_with("['whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=']\nauth.kind = 'ed25519'\nauth.item_tag = 'v1a,'");
    let ed25519 =
        "v1a,DquR4Hh4zt6Oih0UN9NoBLz/ezicn+ug8RzYQmjsO9crzZx6FtWAyoz4c4gX0SBQj5mKkDTyQYoCUwwm/nPSBA==";
    assert_eq!(vector.verify(&public, ed25519), Ok(0), "STW-10");
    assert_eq!(vector.verify(&source, ed25519), Err(Refusal::Wrong), "STW-10 without v1a");
    assert_eq!(vector.verify(&public, &vector.proof), Err(Refusal::Wrong));
    let prefixed = vector.source_with(&format!("['v1,{}']", vector.secret));
    assert_eq!(vector.verify(&prefixed, &vector.proof), Ok(0), "a secret as some products print it");
}

#[test]
fn a_secret_is_good_until_its_end() {
    let vector = vector("SPZ-1");
    let secret = |end: &str| format!("[{{ value = '{}', not_after = {end} }}]", vector.secret);
    let over = vector.source_with(&secret("2026-02-03T04:06:39Z"));
    assert_eq!(vector.verify(&over, &vector.proof), Err(Refusal::Expired));
    assert!(vector.explain(&over, &vector.proof).contains("which has expired"));
    let good = vector.source_with(&secret("'2026-02-03T04:06:40Z'"));
    assert_eq!(vector.verify(&good, &vector.proof), Ok(0));
}

#[test]
fn fixed_secrets_are_compared_whole() {
    let verify = |source: &Source, header: Option<&str>| {
        let headers: BTreeMap<String, String> =
            header.map(|value| (source.auth.header.clone(), value.to_owned())).into_iter().collect();
        source
            .verify(&Pushed { headers: &headers, account: None, body: b"{}", at: now(), address: None })
            .is_ok()
    };
    let shopery = one("preset = 'shopery'\nauth.secrets = ['shy-endpoint-secret-2c8e']");
    assert!(verify(&shopery, Some("shy-endpoint-secret-2c8e")), "SHY-1");
    for wrong in [Some("shy-endpoint-secret-2c8E"), Some("shy-endpoint-secret-2c8"), None, Some("")] {
        assert!(!verify(&shopery, wrong), "SHY-2 to 4: {wrong:?}");
    }
    let rotating = one("preset = 'shopery'\nauth.secrets = ['old-secret-1', 'shy-endpoint-secret-2c8e']");
    assert!(verify(&rotating, Some("old-secret-1")), "SHY-5");
    let omisell = one("preset = 'omisell'\nauth.secrets = ['omi-hook-secret-7Q2x']");
    assert!(verify(&omisell, Some("omi-hook-secret-7Q2x")), "OMI-A1");
    assert!(!verify(&omisell, Some("Bearer omi-hook-secret-7Q2x")), "OMI-A2");
    let bearer =
        one("preset = 'omisell'\nauth.secrets = ['omi-hook-secret-7Q2x']\nauth.strip_prefix = 'Bearer '");
    assert!(verify(&bearer, Some("Bearer omi-hook-secret-7Q2x")), "OMI-A2 with a prefix");
    assert!(!verify(&bearer, Some("omi-hook-secret-7Q2x")), "the prefix must be there then");
}

#[test]
fn what_a_push_is_called_and_known_by() {
    let read = |id: &str| {
        let vector = vector(id);
        let push = vector.read(&vector.source());
        (push.code, push.kind, push.account, push.subject, push.key)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        read("SPZ-1"),
        (
            "orders/paid".into(),
            "orders_paid".into(),
            some("demo-a.myshoplaza.com"),
            some("183211-00000042"),
            "demo-a.myshoplaza.com/orders%2Fpaid/7d1f6a52-9c0e-4a4b-8a51-2f1f3c1d0001".into()
        )
    );
    assert_eq!(
        read("LZD-1"),
        (
            "0".into(),
            "trade_order".into(),
            some("1000114855"),
            some("260422900198363"),
            "1000114855/0/lazada_vn%2F260422900298363%2Fready_to_ship%2F1770091506".into()
        )
    );
    assert_eq!(read("TTS-0").4, "7495540735365777507/7380066284010030890");
    assert_eq!(read("STW-1").4, "msg_2composed0000000000001");
    assert_eq!(read("OMI-B").4, "2087/6f6a5c8e2f0b4f35b1d3f0a7c9e81234");
    assert_eq!(read("SHF-1").3, some("#9999"));
    let lazada = vector("LZD-1");
    assert_eq!(
        lazada.read(&lazada.source()).occurred_at.map(|at| at.timestamp_millis()),
        Some(1_770_091_507_123)
    );
    let shoplazza = vector("SPZ-1").source();
    assert!(!shoplazza.signs_its_id() && vector("STW-1").source().signs_its_id());
}

#[test]
fn an_unsigned_shop_header_is_bound_to_the_path() {
    let headers: BTreeMap<String, String> =
        [("x-shoplazza-shop-domain".to_owned(), "demo-a.myshoplaza.com".to_owned())].into();
    let check = |source: &Source, path: Option<&str>| {
        let push = Pushed { headers: &headers, account: path, body: b"{}", at: now(), address: None };
        let Reading::Push(parsed) = source.read(&push) else { panic!("a probe") };
        source.check_account(&push, parsed.account.as_deref()).is_ok()
    };
    let source = |more: &str| one(&format!("preset = 'shoplazza'\nauth.secrets = ['s']\n{more}"));
    let free = source("");
    assert!(
        check(&free, None) && check(&free, Some("Demo-A")) && check(&free, Some("demo-a.myshoplaza.com"))
    );
    assert!(!check(&free, Some("demo-b")));
    let listed = source("account.expect = ['demo-a.myshoplaza.com']");
    assert!(check(&listed, None) && !check(&listed, Some("demo-a")));
    let bound =
        source("account.expect = { store-a = 'demo-a.myshoplaza.com', store-b = 'b.myshoplaza.com' }");
    assert!(check(&bound, Some("store-a")));
    assert!(!check(&bound, Some("store-b")) && !check(&bound, Some("store-c")) && !check(&bound, None));
}

#[test]
fn a_source_of_ones_own_needs_no_preset() {
    let source = one(
        "name = 'erp'\nauth = { kind = 'hmac', header = 'X-Erp-Signature', encoding = 'hex', strip_prefix = 'sha256=', secrets_env = ['SPZ'] }\nevent.source = ['json:/kind']\nid.source = ['json:/id']",
    );
    assert_eq!(source.auth.secrets.len(), 2);
    let headers: BTreeMap<String, String> = BTreeMap::new();
    let signature = source.sign(&headers, b"{}").expect("signed");
    assert!(signature.starts_with("sha256="));
    let headers: BTreeMap<String, String> = [("x-erp-signature".to_owned(), signature)].into();
    assert!(headers.find("x-erp-signature").trimmed().is_some());
    let push = Pushed { headers: &headers, account: None, body: b"{}", at: now(), address: None };
    assert_eq!(source.verify(&push).map(|proof| proof.secret), Ok(0));
}

#[test]
fn every_fault_is_named_at_once() {
    let found = faults(
        "[[sources]]\npreset = 'shoplaza'\nauth.kind = 'hmac'\nauth.header = 'X'\nauth.secrets = ['s']\nname = 'a'\n\
         [[sources]]\nname = 'Bad Name'\nauth = { kind = 'magic', header = 'two words', secrets_env = ['NONE'] }\n\
         [[sources]]\nname = 'b'\nauth = { kind = 'hmac', header = 'X', encodng = 'hex', base = ['url', 'param:key', 'boddy'], secrets = ['s'] }\n\
         time = { source = ['header:X-Time'], tolerance_s = 300 }\nid.source = ['composite:[json:/a?]', 'json:a']\n\
         [[sources]]\nname = 'b'\npreset = 'omisell'\nvariant = 'd'\nauth.secrets = [{ value = 's', not_after = 'soon' }]\n\
         [[sources]]\npreset = 'standard_webhooks'\nauth.secrets = ['whsec_top-secret']\nevents.source = ['x']",
    );
    let at = |rest: &str| format!("pushbox.toml [[sources]] {rest}");
    let expected = [
        at("1 preset: `shoplaza` is unknown"),
        at("2 name: `Bad Name` cannot be part of an address"),
        at("2 auth.kind: `magic` is unknown"),
        at("2 auth.header: `two words` is not the name of a header"),
        at("2 auth.secrets_env: the variable NONE is not set"),
        at("3 auth.base: `boddy` is none of body, url, text:<literal>, param:<name>, header:<name>"),
        at("3 auth.encodng: unknown"),
        at("3 id.source: `composite:[json:/a?]`: at least one part must not be optional"),
        at("3 id.source: `json:a`: a JSON pointer begins with a slash, as in json:/data/id"),
        at("3 url: not set; it is part of what is signed"),
        at("3 auth.params.key: not set; it is part of what is signed"),
        at("3 time.tolerance_s: the time is not signed, so a tolerance protects from nothing"),
        at("3 auth.base: the body is not among the parts: anything could be sent under one signature"),
        at("4 variant: `omisell` has no variant `d`"),
        at("4 auth.secrets 1.not_after: `soon` is not a time"),
        at("5 events: unknown"),
        at("5 auth.secrets: secret 1 is not base64"),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        faults(
            "[[sources]]\npreset = 'shopery'\nauth.secrets = ['s']\n[[sources]]\npreset = 'shopery'\nauth.secrets = ['s']"
        ),
        [at("2 name: `shopery` is taken")]
    );
}

#[test]
fn shopee_is_a_source_and_may_be_left_out() {
    let others = load("[[sources]]\npreset = 'shopery'\nauth.secrets = ['s']", &Roles::all());
    let names: Vec<String> = others.expect("no faults").into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["shopery"]);
    let both = load(
        "partner_id = 1\npartner_key = 'k'\nwebhook_partner_key = 'w'\ncallback_url = 'https://h.example/webhook/shopee'\n[[sources]]\npreset = 'shopery'\nauth.secrets = ['s']",
        &Roles::all(),
    );
    let names: Vec<String> = both.expect("no faults").into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["shopee", "shopery"]);
}

#[test]
fn shopees_mismatches_are_explained() {
    let source = |signature: &str| {
        let toml = format!(
            "partner_id = 1\npartner_key = 'api-key'\nwebhook_partner_key = 'new-key,old-key'\ncallback_url = 'https://hooks.example.com/shopee'\nshopee_signature = '{signature}'"
        );
        load(&toml, &Roles::none()).expect("no faults").remove(0)
    };
    let strict = source("url_body");
    let sign = |key: &str, parts: &[&[u8]]| {
        let joined = parts.concat();
        hex::encode(crate::domain::shopee::signature::body_only(key, &joined))
    };
    let url: &[u8] = b"https://hooks.example.com/shopee";
    let told = |proof: &str| {
        let headers: BTreeMap<String, String> = [("authorization".to_owned(), proof.to_owned())].into();
        let push = Pushed { headers: &headers, account: None, body: b"{}", at: now(), address: None };
        (strict.verify(&push).is_ok(), strict.explain(&push).text)
    };
    assert!(told(&sign("old-key", &[url, b"|{}"])).0);
    for (proof, explanation) in [
        (sign("api-key", &[url, b"|{}"]), "PARTNER_KEY (Shopee signs"),
        (sign("new-key", &[url, b"/|{}"]), "shopee/\""),
        (sign("old-key", &[b"http://hooks.example.com/shopee|{}"]), "\"http://hooks"),
        (sign("new-key", &[b"{}"]), "the body alone with WEBHOOK_PARTNER_KEY (number 1)"),
        ("Basic x".to_owned(), "64 hexadecimal digits"),
        ("0".repeat(64), "is WEBHOOK_PARTNER_KEY the Live Push Partner Key"),
        (String::new(), "no authorization header"),
    ] {
        let (accepted, told) = told(&proof);
        assert!(!accepted && told.contains(explanation), "{told}");
    }
    let body_only = source("body");
    let headers: BTreeMap<String, String> =
        [("authorization".to_owned(), format!("SHA256 {}", sign("new-key", &[b"{}"])))].into();
    let push = Pushed { headers: &headers, account: None, body: b"{}", at: now(), address: None };
    assert!(body_only.verify(&push).is_ok() && strict.verify(&push).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// No panic, and nothing passes without the secret.
    #[test]
    fn nothing_passes_by_chance(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        proof in proptest::collection::vec(any::<u8>(), 0..120),
        account in proptest::option::of(".{0,20}"),
    ) {
        struct Raw<'a>(&'a str, &'a [u8]);
        impl crate::domain::sources::Headers for Raw<'_> {
            fn find(&self, name: &str) -> crate::domain::sources::Header<'_> {
                use crate::domain::sources::Header;
                if name == self.0 { Header::One(self.1) } else { Header::Absent }
            }
        }
        for vector in vectors() {
            let source = vector.source();
            let headers = Raw(&source.auth.header, &proof);
            let push = Pushed { headers: &headers, account: account.as_deref(), body: &body, at: now(), address: None };
            prop_assert!(source.verify(&push).is_err());
            source.explain(&push);
            source.read(&push);
        }
    }

    /// Order of fields and blanks do not change a key that rests on fields.
    #[test]
    fn semantically_equal_pushes_have_one_key(id in "[1-9][0-9]{0,24}", shop in "[a-z0-9]{1,12}") {
        let source = vector("TTS-0").source();
        let headers: BTreeMap<String, String> = BTreeMap::new();
        let key = |body: String| {
            let push = Pushed { headers: &headers, account: None, body: body.as_bytes(), at: now(), address: None };
            match source.read(&push) {
                Reading::Push(push) => push.key,
                Reading::Probe => String::new(),
            }
        };
        let one = key(format!(r#"{{"type":1,"tts_notification_id":{id},"shop_id":"{shop}"}}"#));
        let other = key(format!(r#"{{ "shop_id" : "{shop}", "data": {{}}, "tts_notification_id": "{id}", "type": "1" }}"#));
        prop_assert_eq!(one, other);
    }
}

#[test]
fn faults_of_an_api_are_told_once_and_all_of_them() {
    let shoplazza = "preset = 'shoplazza'\nauth.secrets = ['x']\n";
    let told = |toml: &str| faults(&format!("[[sources]]\n{shoplazza}{toml}"));
    let places = |faults: Vec<String>| -> Vec<String> {
        faults
            .iter()
            .filter_map(|fault| Some(fault.split_once(": ")?.0.rsplit(' ').next()?.to_owned()))
            .collect()
    };
    assert_eq!(
        places(told(
            "api = { url = 'ftp://a', token_env = 'NOPE', versoin = '1' }\nsubscriptions = { recreate = 'yes' }"
        )),
        ["api.url", "api.token_env", "subscriptions.recreate", "subscriptions.address", "api.versoin"]
    );
    assert_eq!(places(told("api = {}")), ["api.token", "api.url"]);
    assert_eq!(places(told("subscriptions = { address = 'https://h/x' }")), ["subscriptions.address"]);
    let lazada = "[[sources]]\npreset = 'lazada'\nauth = { secrets = ['x'], params = { app_key = '1' } }\napi.token = 't'";
    assert_eq!(places(faults(lazada)), ["api.url"]);
}
