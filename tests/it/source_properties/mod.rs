//! The properties that `fuzz/` hunts for, tried a bounded number of times: the vectors of the platforms, bent at
//! random from a seed. `PUSHBOX_FUZZ_CASES` and `PUSHBOX_FUZZ_SEED` choose how many and which;
//! `UPDATE=1 cargo test --test it source_properties` writes the fuzzer's seeds again.

mod json;
mod properties;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

use properties::{GIVEN, keys, parse, proof_of, proofs};

const VECTORS: &str = include_str!("../../data/source_vectors.json");

/// One of each shape that Shopee sends.
const SHOPEE: &[&str] = &[
    r#"{"msg_id":"0123456789abcdef","data":{"completed_scenario":"","items":[],"ordersn":"2609150ABCDEF1","status":"READY_TO_SHIP","update_time":1790000000},"shop_id":10000001,"code":3,"timestamp":1790000001}"#,
    r#"{"data":{"ordersn":"A","forder_id":"4","package_number":"P","tracking_no":"T"},"shop_id":1,"code":4,"timestamp":9}"#,
    r#"{"data":{"order_sn":"A","package_number":"P","status":"READY"},"shopid":"1","code":15,"timestamp":9}"#,
    r#"{"data":{"ordersn":"A","package_number":"P","fulfillment_status":"F","update_time":5},"shop_id":1,"code":30,"timestamp":9}"#,
    r#"{"data":{"booking_sn":"B","booking_status":"S","update_time":5},"shop_id":1,"code":23,"timestamp":9}"#,
    r#"{"data":{"booking_sn":"B","tracking_number":"T"},"shop_id":1,"code":24,"timestamp":9}"#,
    r#"{"data":{"order_sn":"A","return_sn":"R","updated_values":[{"update_field":"return_status","old_value":"J","new_value":"P","update_time":7}]},"shop_id":1,"code":29,"timestamp":9}"#,
    r#"{"data":{"type":"message","content":{"message_id":"m1"}},"shop_id":1,"code":10,"timestamp":9}"#,
    r#"{"data":{"type":"notification","content":{"conversation_id":"c1","type":"mark","timestamp":8}},"shop_id":1,"code":10,"timestamp":9}"#,
    r#"{"data":{"order_sn":"A","package_number":"P","update_time":6,"new":{"a":1},"old":{"a":2}},"shop_id":1,"code":47,"timestamp":9}"#,
    r#"{"data":{"expire_before":7,"page_no":1,"shop_expire_soon":[3,1],"merchant_expire_soon":[]},"code":12,"timestamp":9}"#,
    r#"{"data":{"shop_id_list":[1,2],"authorize_type":"shop authorization","success":1},"code":1,"timestamp":9,"shop_id":1}"#,
    r#"{"data":"{\"ordersn\":\"A\",\"status\":\"UNPAID\",\"update_time\":5}","shop_id":1,"code":3}"#,
    r#"{"data":{"item_id":5,"x":[1.5,-0,"é\u00e9\ud83d\ude00",{"":null}]},"shop_id":1,"code":99,"timestamp":9}"#,
    r#"{"code":0,"data":{"verify_info":"This is a test"}}"#,
    " ",
];

/// What tends to matter to who reads JSON and headers.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"\"null\"",
    b"1e999",
    b"-0",
    b"18446744073709551616",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b" ",
    b"v1,",
    b"v1a,",
    b"Bearer ",
    b"=",
    b"/",
    b"%2F",
    b"|",
    b"\"shop_id\":1,",
    b"\"shopid\":2,",
    b"\"ordersn\":\"B\",",
    b"\"order_sn\":\"C\",",
    b"\"code\":3,",
    b"\"data\":{},",
];

type Property = (&'static str, fn(&[u8]));

const PROPERTIES: &[Property] = &[("parse", parse), ("keys", keys), ("proofs", proofs)];

/// Inputs for a property, by name: the vectors as they are.
fn seeds(property: &str) -> BTreeMap<String, Vec<u8>> {
    let mut bodies: Vec<(String, u8, Vec<u8>)> = Vec::new();
    let at = |name: &str| {
        let at = GIVEN.iter().position(|one| one.name == name).expect(name);
        u8::try_from(at).expect("few sources")
    };
    for (number, body) in SHOPEE.iter().enumerate() {
        bodies.push((format!("SHOPEE-{number}"), at("shopee"), body.as_bytes().to_vec()));
    }
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
    for vector in vectors {
        let id = vector["id"].as_str().expect("an id").to_owned();
        let source = match id.split('-').next() {
            Some("SPZ") => "shoplazza",
            Some("SHF") => "shopify",
            Some("OMI") => "omisell-b",
            Some("LZD") => "lazada",
            Some("TTS") => "tiktok_shop",
            _ => "standard_webhooks",
        };
        let body = STANDARD.decode(vector["body"].as_str().expect("a body")).expect("base64");
        bodies.push((id, at(source), body));
    }
    let shopery =
        br#"{"id":"ord_01J0000000000000000000000A","status":"CREATED","updatedAt":"2026-02-03T04:05:06Z"}"#;
    bodies.push(("SHY-1".to_owned(), at("shopery"), shopery.to_vec()));
    let mut seeds = BTreeMap::new();
    for (name, source, body) in bodies {
        if property == "proofs" {
            let proof = proof_of(&GIVEN[usize::from(source)], &body);
            let length = u8::try_from(proof.len()).expect("a proof is short");
            seeds.insert(format!("{name}-right"), [&[source, 0, 0][..], &body].concat());
            seeds.insert(format!("{name}-given"), [&[source, 4, length][..], &proof, &body].concat());
        } else {
            seeds.insert(format!("{name}-plain"), [&[source, 1][..], &body].concat());
            seeds.insert(format!("{name}-headers"), [&[source, 2][..], &body].concat());
        }
    }
    seeds
}

/// One to six changes of an input.
fn bend(random: &mut StdRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=6) {
        let place = random.random_range(0..=data.len());
        let end = random.random_range(place..=data.len().min(place + 40));
        match random.random_range(0..6) {
            0 if place < data.len() => data[place] = random.random(),
            1 if place < data.len() => data[place] ^= 1 << random.random_range(0..8),
            2 => drop(data.drain(place..end)),
            3 => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                drop(data.splice(place..place, piece.iter().copied()));
            }
            4 => {
                let copy = data[place..end].to_vec();
                drop(data.splice(place..place, copy));
            }
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                let piece = other[from..other.len().min(from + 60)].to_vec();
                drop(data.splice(place..end, piece));
            }
        }
    }
    data
}

#[expect(clippy::disallowed_methods, reason = "how long to try is asked of the environment")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn hold_for_the_vectors_and_for_what_becomes_of_them_at_random() {
    let (cases, seed) = (number("PUSHBOX_FUZZ_CASES", 4000), number("PUSHBOX_FUZZ_SEED", 7));
    for (name, property) in PROPERTIES {
        let seeds: Vec<Vec<u8>> = seeds(name).into_values().collect();
        let mut random = StdRng::seed_from_u64(seed);
        for case in 0..cases {
            let given = usize::try_from(case).ok().and_then(|at| seeds.get(at));
            let input = given.cloned().unwrap_or_else(|| bend(&mut random, &seeds));
            let held = catch_unwind(AssertUnwindSafe(|| property(&input)));
            assert!(
                held.is_ok(),
                "PUSHBOX_FUZZ_SEED={seed}, case {case} of {name}: source {}, input {}\n{}",
                GIVEN[usize::from(input[0]) % GIVEN.len()].name,
                hex::encode(&input),
                String::from_utf8_lossy(&input),
            );
        }
    }
}

/// The properties are worth something only if they can break.
#[test]
fn an_oracle_that_is_wrong_is_noticed() {
    let seeds = seeds("proofs");
    let right = &seeds["SPZ-1-given"];
    proofs(right);
    let mut of_another = right.clone();
    let last = of_another.len() - 2;
    // The body changed, the header is still that of the old one: `proofs` must find it refused, and does.
    of_another[last] ^= 1;
    proofs(&of_another);
    let caught = catch_unwind(|| keys(&[0, 0]));
    assert!(caught.is_ok(), "a probe has no key");
}

#[test]
fn the_fuzzers_seeds_are_these() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, _) in PROPERTIES {
        let directory = root.join(name);
        let seeds = seeds(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&directory).expect("the repository is writable");
            for (name, seed) in &seeds {
                std::fs::write(directory.join(name), seed).expect("the repository is writable");
            }
        }
        for (name, seed) in &seeds {
            let path: PathBuf = directory.join(name);
            let kept = std::fs::read(&path).unwrap_or_default();
            let remedy = "run `UPDATE=1 cargo test --test it source_properties`";
            assert!(kept == *seed, "{} is not what the vectors say; {remedy}", path.display());
        }
    }
}
