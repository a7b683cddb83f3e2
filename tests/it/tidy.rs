//! House rules that no compiler knows: who may name which library, how long a file may be, what is not left over.

use crate::support::source::{SourceFile, line, names_after, rust_files, words};

/// The longest a file may be, without its tests.
const LINES: usize = 400;

/// Who may name a library. What is not listed is free.
const OWNERS: &[(&str, &[&str])] = &[
    ("apalis", &["queue"]),
    ("apalis_core", &["queue"]),
    ("reqwest", &["clients", "postgres", "simulator"]),
    ("teloxide_core", &["clients"]),
    ("google_sheets4", &["clients"]),
    ("yup_oauth2", &["clients"]),
    ("refinery", &["store"]),
    ("refinery_core", &["store"]),
    // Whoever owns a transaction names its type; see `only_store_and_queue_speak_sql` for statements.
    ("sqlx", &["admin", "app", "cli", "jobs", "queue", "receiver", "schedule", "store"]),
];

/// What is not left in the code, tests included.
const LEFTOVERS: &[(&str, &str)] = &[
    ("todo!", "finish it"),
    ("unimplemented!", "finish it"),
    ("dbg!", "remove it"),
    ("#[allow", "use #[expect(…, reason = \"…\")]"),
    ("#![allow", "use #[expect(…, reason = \"…\")]"),
    ("#[ignore", "a test runs or is not there"),
    ("super::super::", "use crate:: paths, so that the layer test and the reader see where it goes"),
];

fn all_files() -> Vec<SourceFile> {
    let mut files = rust_files("src");
    files.extend(rust_files("tests"));
    files
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// `path:line: what`.
fn fault(file: &SourceFile, code: &str, at: usize, what: &str) -> String {
    format!("{}:{}: {what}", file.path.display(), line(code, at))
}

#[test]
fn libraries_are_named_by_their_owners_only() {
    let mut faults = Vec::new();
    for file in rust_files("src") {
        let code = file.shipped();
        for (library, owners) in OWNERS {
            if file.module().is_some_and(|module| owners.contains(&module)) {
                continue;
            }
            let what = format!("`{library}` may be named by {} only", owners.join(", "));
            let uses = words(&code, library);
            let uses = uses.iter().filter(|at| code[**at + library.len()..].starts_with("::"));
            faults.extend(uses.map(|at| fault(&file, &code, *at, &what)));
        }
    }
    report(&faults);
}

#[test]
fn only_store_and_queue_speak_sql() {
    let statements = ["query", "raw_sql", "QueryBuilder", "AssertSqlSafe"];
    let mut faults = Vec::new();
    for file in rust_files("src") {
        if file.module().is_some_and(|module| ["store", "queue"].contains(&module)) {
            continue;
        }
        let code = file.shipped();
        for (at, name) in names_after(&code, "sqlx::") {
            if statements.iter().any(|statement| name.starts_with(statement)) {
                faults.push(fault(
                    &file,
                    &code,
                    at,
                    &format!("`sqlx::{name}`: SQL lives in store and queue"),
                ));
            }
        }
    }
    report(&faults);
}

#[test]
fn transactions_begin_where_they_can_be_given_up() {
    let mut faults = Vec::new();
    for file in
        rust_files("src").iter().filter(|file| file.module().is_some_and(|module| module != "simulator"))
    {
        let code = file.shipped();
        let begun = words(&code, "pool.begin()").into_iter();
        faults
            .extend(begun.map(|at| {
                fault(file, &code, at, "`pool.begin()`: use `store::begin`, which may be dropped")
            }));
    }
    report(&faults);
}

#[test]
fn only_config_and_cli_read_the_environment() {
    let mut faults = Vec::new();
    for file in rust_files("src") {
        if file.module().is_some_and(|module| ["config", "cli"].contains(&module)) {
            continue;
        }
        let code = file.shipped();
        for read in ["env::var", "env::var_os", "env::vars", "env::vars_os", "env::set_var", "dotenvy::"] {
            let found = words(&code, read);
            faults.extend(found.into_iter().map(|at| fault(&file, &code, at, &format!("`{read}`"))));
        }
    }
    report(&faults);
}

#[test]
fn only_cli_prints() {
    let mut faults = Vec::new();
    for file in rust_files("src").iter().filter(|file| file.module().is_some_and(|module| module != "cli")) {
        let code = file.shipped();
        for print in ["println!", "print!", "eprintln!", "eprint!"] {
            faults.extend(
                words(&code, print).into_iter().map(|at| fault(file, &code, at, &format!("`{print}`"))),
            );
        }
    }
    report(&faults);
}

#[test]
fn files_are_short_enough_to_read() {
    let mut faults = Vec::new();
    for file in rust_files("src") {
        let lines = file.shipped().lines().count();
        if lines > LINES {
            let path = file.path.display();
            faults.push(format!("{path}: {lines} lines without tests, at most {LINES}: split it by meaning"));
        }
    }
    report(&faults);
}

#[test]
fn every_module_says_what_it_is_for() {
    // Modules of a single item are explained by that item, but a file is never without a word.
    let silent = all_files().into_iter().filter(|file| !file.text.starts_with("//!"));
    report(
        &silent.map(|file| format!("{}: does not start with `//!`", file.path.display())).collect::<Vec<_>>(),
    );
}

#[test]
fn nothing_is_left_over() {
    let mut faults = Vec::new();
    for file in all_files() {
        for (leftover, remedy) in LEFTOVERS {
            let found = words(&file.code, leftover);
            faults.extend(
                found.into_iter().map(|at| fault(&file, &file.code, at, &format!("`{leftover}`: {remedy}"))),
            );
        }
    }
    report(&faults);
}
