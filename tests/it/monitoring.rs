//! What `docs/` offers to Prometheus and Grafana names only metrics that there are, with labels that they have, and
//! leaves none out.

use std::collections::{BTreeMap, BTreeSet};

use pushbox::observability::metrics::ALL;
use serde_json::Value;

use crate::support::source::root;

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The metrics that a text names, each with the labels that stand in braces behind it.
fn named(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, _) in text.match_indices("pushbox_") {
        let rest = &text[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|part| rest[..end].strip_suffix(part));
        let labels = found.entry(name.unwrap_or(&rest[..end]).to_owned()).or_default();
        if let Some(braces) = rest[end..].strip_prefix('{').and_then(|rest| rest.split('}').next()) {
            let selectors = braces.split(',').filter_map(|one| one.split(['=', '!']).next());
            labels.extend(selectors.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()));
        }
    }
    found
}

fn check(name: &str, text: &str) -> BTreeSet<String> {
    let known: BTreeMap<&str, &[&str]> = ALL.iter().map(|metric| (metric.name, metric.labels)).collect();
    let found = named(text);
    assert!(!found.is_empty(), "{name} names no metric");
    for (metric, labels) in &found {
        let has = known.get(metric.as_str()).unwrap_or_else(|| panic!("{name}: there is no metric {metric}"));
        for label in labels {
            // Prometheus adds `job` and `instance` itself, histograms `le`.
            let given = ["job", "instance", "le"].contains(&label.as_str()) || has.contains(&label.as_str());
            assert!(given, "{name}: {metric} has no label {label}, only {has:?}");
        }
    }
    found.into_keys().collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: Value = serde_json::from_str(&document("grafana.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut shown = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            panel["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{title} is not explained"
        );
        for target in panel["targets"].as_array().expect("targets") {
            shown.extend(check(title, target["expr"].as_str().expect("an expression")));
        }
    }
    assert_eq!(shown, ALL.iter().map(|metric| metric.name.to_owned()).collect());
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    let rules: Value = serde_yaml_ng::from_str(&document("alerts.yml")).expect("YAML");
    let mut names = BTreeSet::new();
    for group in rules["groups"].as_array().expect("groups") {
        for rule in group["rules"].as_array().expect("rules") {
            let name = rule["alert"].as_str().expect("a name");
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            check(name, rule["expr"].as_str().expect("an expression"));
            assert!(rule["for"].is_string(), "{name} fires at a hiccup");
            let severity = rule["labels"]["severity"].as_str();
            assert!(matches!(severity, Some("warning" | "critical")), "{name}: {severity:?}");
            for text in ["summary", "description"] {
                assert!(
                    rule["annotations"][text].as_str().is_some_and(|text| text.len() > 20),
                    "{name} has no {text}"
                );
            }
        }
    }
    assert!(names.len() >= 10);
}

#[test]
fn unknown_names_and_labels_are_found() {
    let found = named(r#"rate(pushbox_commit_seconds_bucket{job=~"x",le!="1"}[5m]) / pushbox_queue_jobs"#);
    let labels = found["pushbox_commit_seconds"].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(labels, ["job", "le"]);
    assert!(found["pushbox_queue_jobs"].is_empty());
    for wrong in ["pushbox_nothing", r#"pushbox_pushes_total{colour="red"}"#] {
        assert!(std::panic::catch_unwind(|| check("x", wrong)).is_err(), "{wrong}");
    }
}
