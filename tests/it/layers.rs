//! Which module may use which.
//!
//! The table is the architecture. An edge that is missing here is missing on purpose; see `src/lib.rs` for what the
//! absences promise.

use std::collections::BTreeSet;

use crate::support::source::{SourceFile, line, names_after, rust_files};

const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("domain", &[]),
    ("config", &["domain"]),
    ("observability", &["config"]),
    ("store", &["domain"]),
    ("queue", &["clock", "config", "domain", "observability", "store"]),
    ("clients", &["clock", "config", "domain"]),
    ("receiver", &["clock", "config", "domain", "observability", "queue", "store"]),
    ("jobs", &["clock", "clients", "config", "domain", "observability", "queue", "store"]),
    ("schedule", &["clock", "clients", "config", "domain", "observability", "queue", "store"]),
    ("admin", &["clock", "config", "domain", "observability", "queue", "store"]),
    ("dashboard", &["admin"]),
    ("postgres", &["config"]),
    ("simulator", &["domain"]),
    (
        "app",
        &[
            "admin",
            "clients",
            "clock",
            "config",
            "dashboard",
            "domain",
            "jobs",
            "observability",
            "postgres",
            "queue",
            "receiver",
            "schedule",
            "simulator",
            "store",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "app",
            "clients",
            "clock",
            "config",
            "dashboard",
            "domain",
            "jobs",
            "observability",
            "postgres",
            "queue",
            "receiver",
            "schedule",
            "simulator",
            "store",
        ],
    ),
];

fn allowed(module: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed)
}

/// Every use of another module that the table does not name.
fn faults(file: &SourceFile) -> Vec<String> {
    let Some(module) = file.module() else { return Vec::new() };
    let Some(allowed) = allowed(module) else { return Vec::new() };
    let code = file.shipped();
    let mut uses = names_after(&code, "crate::");
    // In the file of a top-level module `super` is the crate.
    if file.path.ends_with(format!("src/{module}.rs")) || file.path.ends_with(format!("src/{module}/mod.rs"))
    {
        uses.extend(
            names_after(&code, "super::").into_iter().filter(|(_, name)| self::allowed(name).is_some()),
        );
    }
    uses.into_iter()
        .filter(|(_, name)| *name != module && !allowed.contains(name))
        .map(|(at, name)| {
            let path = file.path.display();
            let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            format!("{path}:{}: `{module}` may not use `{name}`; allowed: {list}", line(&code, at))
        })
        .collect()
}

#[test]
fn modules_use_only_what_their_layer_allows() {
    let faults: Vec<String> = rust_files("src").iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_table_names_every_module_and_no_other() {
    let modules: BTreeSet<String> =
        rust_files("src").iter().filter_map(SourceFile::module).map(str::to_owned).collect();
    let table: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(table, modules);
}

#[test]
fn the_table_has_no_cycle() {
    let mut settled: Vec<&str> = Vec::new();
    for _ in LAYERS {
        let ready = LAYERS.iter().filter(|(_, uses)| uses.iter().all(|used| settled.contains(used)));
        settled = ready.map(|(name, _)| *name).collect();
    }
    assert_eq!(settled.len(), LAYERS.len(), "only these are free of cycles: {settled:?}");
}

#[test]
fn a_forbidden_edge_is_found() {
    let file = |path: &str, code: &str| SourceFile {
        path: path.into(),
        text: code.to_owned(),
        code: code.to_owned(),
        is_test: false,
    };
    for (path, code, count) in [
        ("src/receiver/mod.rs", "use crate::{clients::shopee, queue};", 1),
        ("src/receiver/mod.rs", "use super::jobs;", 1),
        ("src/receiver/push.rs", "use super::jobs;", 0),
        ("src/receiver/push.rs", "use crate::receiver::commit; use crate::domain::event;", 0),
        ("src/domain/event.rs", "fn f() { crate::clock::system(); }", 1),
        ("src/domain/event.rs", "#[cfg(test)]\nmod tests { use crate::clock; }", 0),
        ("src/clock.rs", "use super::config;", 1),
    ] {
        let found = faults(&file(path, code));
        assert_eq!(found.len(), count, "{path}: {code}: {found:?}");
    }
}
