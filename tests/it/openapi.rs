//! The OpenAPI document is committed, complete, and nothing in it can be had without a token.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use crate::admin::{READ_TOKEN, offline_router};

/// The operations that answer without a token. Whoever adds one says here why it may.
const PUBLIC: [&str; 3] = [
    "get_health",    // load balancers and people; holds counts only
    "get_liveness",  // supervisors
    "get_readiness", // load balancers
];

fn document() -> Value {
    serde_json::from_str(&pushbox::admin::openapi_json()).expect("the document is JSON")
}

/// Method, path and operation of all of them.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("the document has paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path is an object").iter();
            methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
        })
        .collect()
}

/// `UPDATE=1 cargo test openapi` writes the file anew.
#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/admin.json");
    let current = pushbox::admin::openapi_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == current,
        "openapi/admin.json is not what the code says: UPDATE=1 cargo test openapi"
    );
}

#[test]
fn every_operation_is_documented() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{place}: no id"));
        assert!(ids.insert(id.to_owned()), "{place}: the id {id} is taken");
        assert!(id.contains('_'), "{place}: {id} is not <verb>_<resource>");
        assert!(operation["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{place}: one tag");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}: no summary");
        let responses = operation["responses"].as_object().unwrap_or_else(|| panic!("{place}: no responses"));
        for (status, response) in responses {
            assert!(
                response["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{place}: {status} has no description"
            );
            for (media, content) in response["content"].as_object().into_iter().flatten() {
                let has_example = content.get("example").or_else(|| content.get("examples")).is_some();
                assert!(has_example, "{place}: {status} {media} has no example");
            }
        }
        let public = PUBLIC.contains(&id);
        assert_eq!(
            responses.contains_key("401"),
            !public,
            "{place}: 401 where a token is needed, only there"
        );
        assert_eq!(operation["security"] == serde_json::json!([{}]), public, "{place}: security");
        let changes = method != "GET";
        assert_eq!(
            responses.contains_key("403"),
            changes,
            "{place}: 403 where something is changed, only there"
        );
        assert_eq!(responses.contains_key("404"), path.contains('{'), "{place}: 404 where a thing is named");
    }
}

/// Sends every operation of the document, with parameters filled in.
async fn answers(token: Option<&str>) -> Vec<(String, String, StatusCode)> {
    let mut answers = Vec::new();
    for (method, path, operation) in operations(&document()) {
        let path = path.replace(['{', '}'], "");
        let mut request = Request::builder().method(method.as_str()).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = offline_router()
            .oneshot(request.body(Body::empty()).expect("a request"))
            .await
            .expect("an answer");
        let id = operation["operationId"].as_str().expect("an operation id").to_owned();
        answers.push((method, id, answer.status()));
    }
    answers
}

#[tokio::test]
async fn nothing_guarded_answers_without_a_token() {
    for token in [None, Some("wrong"), Some("")] {
        for (_, id, status) in answers(token).await {
            let public = PUBLIC.contains(&id.as_str());
            assert_eq!(status != StatusCode::UNAUTHORIZED, public, "{id} with {token:?}: {status}");
        }
    }
}

#[tokio::test]
async fn the_read_token_changes_nothing() {
    for (method, id, status) in answers(Some(READ_TOKEN)).await {
        assert_ne!(status, StatusCode::UNAUTHORIZED, "{id}");
        assert_eq!(status == StatusCode::FORBIDDEN, method != "GET", "{id}: {status}");
    }
}
