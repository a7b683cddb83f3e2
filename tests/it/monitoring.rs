//! What `docs/` offers to Prometheus and Grafana is what they read, names only metrics that there are, with labels that
//! they have, and leaves none out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use promql_parser::util::parse_duration;
use pushbox::observability::metrics::ALL;
use serde_json::Value;

use crate::support::source::root;

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What an expression says of each metric: the labels that it selects or groups by.
type Named = BTreeMap<String, BTreeSet<String>>;

/// The metrics of an expression. Parsed as Prometheus parses it, with its functions and types.
fn named(text: &str) -> Result<Named, String> {
    let mut found = Named::new();
    collect(&parser::parse(text)?, &[], &mut found)?;
    Ok(found)
}

/// `grouped` are the labels that those around group by, which whatever is within has to have.
fn collect(expression: &Expr, grouped: &[String], found: &mut Named) -> Result<(), String> {
    let mut select = |selector: &VectorSelector| {
        let name = selector.name.as_deref().ok_or("a selector without a metric")?;
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let labels = found.entry(base.unwrap_or(name).to_owned()).or_default();
        labels.extend(selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()));
        labels.extend(grouped.iter().cloned());
        Ok(())
    };
    match expression {
        Expr::VectorSelector(selector) => select(selector),
        Expr::MatrixSelector(range) => select(&range.vs),
        Expr::Aggregate(aggregate) => {
            let by = match &aggregate.modifier {
                Some(LabelModifier::Include(labels)) => labels.labels.clone(),
                _ => Vec::new(),
            };
            collect(&aggregate.expr, &by, found)
        }
        Expr::Binary(binary) => {
            collect(&binary.lhs, grouped, found)?;
            collect(&binary.rhs, grouped, found)
        }
        Expr::Call(call) => call.args.args.iter().try_for_each(|one| collect(one, grouped, found)),
        Expr::Paren(paren) => collect(&paren.expr, grouped, found),
        Expr::Unary(unary) => collect(&unary.expr, grouped, found),
        Expr::Subquery(subquery) => collect(&subquery.expr, grouped, found),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::Extension(_) => Err("it is not of Prometheus".to_owned()),
    }
}

/// The metrics of an expression, all of which are ours and have the labels that it speaks of.
fn check(name: &str, text: &str) -> BTreeSet<String> {
    let known: BTreeMap<&str, &[&str]> = ALL.iter().map(|metric| (metric.name, metric.labels)).collect();
    let found = named(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
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

/// Whether it is a span of time as Prometheus writes it in a rule, longer than nothing.
fn is_duration(text: &str) -> bool {
    // Seconds without a unit are accepted in queries only.
    text.ends_with(char::is_alphabetic) && parse_duration(text).is_ok_and(|span| span > Duration::ZERO)
}

/// The labels that the result of an expression has; none: those of a metric, whatever they are.
fn kept(expression: &Expr) -> Option<Vec<String>> {
    match expression {
        Expr::Aggregate(aggregate) => match &aggregate.modifier {
            Some(LabelModifier::Include(labels)) => Some(labels.labels.clone()),
            Some(LabelModifier::Exclude(_)) => None,
            None => Some(Vec::new()),
        },
        Expr::Binary(binary) => kept(&binary.lhs),
        Expr::Call(call) => call.args.args.last().and_then(|one| kept(one)),
        Expr::Paren(paren) => kept(&paren.expr),
        _ => None,
    }
}

/// Every `{{ $labels.queue }}` in a text about this expression is a label that its result has.
fn check_words(name: &str, text: &str, expression: &str) {
    assert_eq!(text.matches("{{").count(), text.matches("}}").count(), "{name}: {text}");
    let labels = kept(&parser::parse(expression).expect("it was parsed before"));
    for told in text.split("$labels.").skip(1) {
        let label = told.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
        let has = labels.as_ref().is_none_or(|labels| labels.iter().any(|one| one == label));
        assert!(has, "{name} tells of {label}, which {expression} does not keep");
    }
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
            let name = rule["alert"].as_str().expect("a name").to_owned();
            let expression = rule["expr"].as_str().expect("an expression");
            check(&name, expression);
            assert!(
                rule["for"].as_str().is_some_and(is_duration),
                "{name} fires at a hiccup: {}",
                rule["for"]
            );
            let keys: Vec<&str> = rule.as_object().expect("a rule").keys().map(String::as_str).collect();
            assert_eq!(keys, ["alert", "annotations", "expr", "for", "labels"], "{name}");
            let severity = rule["labels"]["severity"].as_str();
            assert!(matches!(severity, Some("warning" | "critical")), "{name}: {severity:?}");
            for text in ["summary", "description"] {
                assert!(
                    rule["annotations"][text].as_str().is_some_and(|text| text.len() > 20),
                    "{name} has no {text}"
                );
                check_words(&name, rule["annotations"][text].as_str().unwrap_or_default(), expression);
            }
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
    }
    assert!(names.len() >= 10);
}

#[test]
fn what_prometheus_would_refuse_is_found() {
    let found = named(
        r#"sum by (le) (rate(pushbox_commit_seconds_bucket{job=~"x",le!="1"}[5m])) / ignoring (le) pushbox_queue_jobs"#,
    )
    .expect("an expression");
    let labels = found["pushbox_commit_seconds"].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(labels, ["job", "le"]);
    assert!(found["pushbox_queue_jobs"].is_empty());
    for right in ["sum(rate(pushbox_pushes_total[5m])) by (outcome)", "-(pushbox_database_up) > bool 0"] {
        check("x", right);
    }
    for wrong in [
        "pushbox_nothing",
        r#"pushbox_pushes_total{colour="red"}"#,
        "sum by (colour) (rate(pushbox_pushes_total[5m]))",
        "sum(rate(pushbox_pushes_total[5m])",
        "rat(pushbox_pushes_total[5m])",
        "rate(pushbox_pushes_total)",
        "rate(pushbox_pushes_total[5x])",
        "pushbox_pushes_total{outcome=~\"(\"}",
        "histogram_quantile(pushbox_commit_seconds_bucket)",
        "pushbox_database_up == ",
        "",
        "1 == 1",
    ] {
        assert!(std::panic::catch_unwind(|| check("x", wrong)).is_err(), "{wrong}");
    }
    for (text, expression, right) in [
        ("{{ $labels.queue }}", "max by (queue) (pushbox_queue_jobs) > 0", true),
        ("{{ $labels.queue }}", "max(pushbox_queue_jobs) > 0", false),
        ("{{ $labels.queue }", "max by (queue) (pushbox_queue_jobs) > 0", false),
    ] {
        let checked = std::panic::catch_unwind(|| check_words("x", text, expression)).is_ok();
        assert_eq!(checked, right, "{text}: {expression}");
    }
    assert!(is_duration("1h30m") && !is_duration("5") && !is_duration("0m") && !is_duration("soon"));
}
