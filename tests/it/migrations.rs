//! Migrations that are safe on a live system, documented, and applied one by one over data.
//!
//! A migration runs while the binary before it is still serving. What would lock a table that has rows, or take from
//! the old binary what it uses, is refused, unless a comment before the statement says why it does no harm:
//! `-- safe: <reason>`.

use std::collections::BTreeSet;
use std::fs;

use pushbox::store::{migrate, migrations};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::database::{database, empty_database};
use crate::support::source::root;

const SAFE: &str = "-- safe: ";

/// One statement, upper-case words with single blanks between, without comments.
struct Statement {
    words: String,
    /// A comment in or before it gives a reason.
    excused: bool,
}

/// Splits SQL at the semicolons that end statements: not at those in strings, comments and `$$` bodies.
fn statements(sql: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let (mut words, mut excused, mut rest) = (String::new(), false, sql);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '-' if rest.starts_with("--") => {
                excused |= rest.strip_prefix(SAFE).is_some_and(|reason| !reason.trim_start().is_empty());
                words.push(' ');
                rest.find('\n').unwrap_or(rest.len())
            }
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' => {
                words.push_str("''");
                rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
            }
            '$' if rest[1..]
                .find('$')
                .is_some_and(|end| rest[1..=end].chars().all(char::is_alphanumeric)) =>
            {
                let tag = &rest[..rest[1..].find('$').expect("checked above") + 2];
                words.push_str("$$");
                rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len())
            }
            ';' => {
                found.push(Statement { words: normal(&words), excused });
                (words, excused) = (String::new(), false);
                1
            }
            _ => {
                words.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    if !words.trim().is_empty() {
        found.push(Statement { words: normal(&words), excused });
    }
    found
}

fn normal(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase().replace('"', "")
}

/// The word after `keyword`, without what may stand between.
fn named_after(statement: &str, keyword: &str) -> Option<String> {
    let rest = statement.split_once(keyword)?.1.trim_start();
    let rest =
        rest.strip_prefix("IF NOT EXISTS ").or_else(|| rest.strip_prefix("IF EXISTS ")).unwrap_or(rest);
    let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
    rest.split([' ', '(']).next().map(str::to_owned)
}

/// What is wrong with a migration, for a system that has the tables made before.
fn faults(sql: &str) -> Vec<String> {
    let mut new_tables = BTreeSet::new();
    let mut faults = Vec::new();
    for Statement { words, excused } in statements(sql) {
        if words.starts_with("CREATE TABLE ") || words.starts_with("CREATE UNLOGGED TABLE ") {
            new_tables.extend(named_after(&words, "TABLE "));
        }
        if let (false, Some(fault)) = (excused, fault(&words, &new_tables)) {
            faults.push(format!("{fault}: {words}"));
        }
    }
    faults
}

fn fault(statement: &str, new_tables: &BTreeSet<String>) -> Option<&'static str> {
    let on_new_table =
        |keyword| named_after(statement, keyword).is_some_and(|table| new_tables.contains(&table));
    let index = statement.starts_with("CREATE INDEX ") || statement.starts_with("CREATE UNIQUE INDEX ");
    if index && !statement.contains(" CONCURRENTLY ") && !on_new_table(" ON ") {
        return Some("an index on a table that may have rows blocks writes: CONCURRENTLY, or an excuse");
    }
    if statement.starts_with("DROP TABLE ") || statement.starts_with("TRUNCATE ") {
        return Some("the binary before still uses the table");
    }
    if !statement.starts_with("ALTER TABLE ") || on_new_table("ALTER TABLE ") {
        return None;
    }
    for action in top_level_parts(statement) {
        let action = format!(" {action}");
        if action.contains(" ADD ")
            && !action.contains("ADD CONSTRAINT ")
            && action.contains("NOT NULL")
            && !action.contains("DEFAULT ")
            && !action.contains("GENERATED ")
        {
            return Some("a column NOT NULL without DEFAULT fails on a table that has rows");
        }
        if action.contains("SET NOT NULL") {
            return Some("SET NOT NULL reads the whole table under a lock");
        }
        if action.contains("ADD CONSTRAINT ")
            && !action.contains("NOT VALID")
            && !action.contains("USING INDEX")
        {
            return Some(
                "a constraint reads the whole table under a lock: NOT VALID, then VALIDATE in a later one",
            );
        }
        if action.contains("DROP COLUMN ") || action.contains("RENAME ") {
            return Some("the binary before still uses the name");
        }
        if action.contains("ALTER COLUMN ") && action.contains(" TYPE ") {
            return Some("changing a type may rewrite the table under a lock");
        }
    }
    None
}

/// Splits at commas outside parentheses.
fn top_level_parts(statement: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in statement.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(statement[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(statement[start..].trim());
    parts
}

#[test]
fn migrations_are_safe_on_a_live_system() {
    let mut found = Vec::new();
    for (version, name, sql) in migrations() {
        found.extend(faults(&sql).into_iter().map(|fault| format!("V{version}__{name}: {fault}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn versions_follow_each_other_and_files_are_the_embedded_ones() {
    let migrations = migrations();
    assert!(!migrations.is_empty());
    // A gap is allowed: numbers are given out before the work is done.
    let versions: Vec<_> = migrations.iter().map(|(version, _, _)| *version).collect();
    assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "each version once, in order: {versions:?}");
    let files = fs::read_dir(root().join("migrations")).expect("read migrations").count();
    assert_eq!(files, migrations.len(), "every file is named V<n>__<name>.sql");
}

#[test]
fn unsafe_changes_are_found() {
    let harmless = "
        CREATE TABLE pushbox.a (id bigint NOT NULL, t text DEFAULT 'x;y' NOT NULL);
        CREATE INDEX a_id_idx ON pushbox.a (id); -- the table is new
        CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ DROP TABLE x; $$;
        CREATE INDEX CONCURRENTLY b_id_idx ON pushbox.b (id);
        ALTER TABLE pushbox.b ADD COLUMN c text, ADD COLUMN d int NOT NULL DEFAULT 0;
        ALTER TABLE pushbox.b ADD CONSTRAINT b_c_check CHECK (c <> '') NOT VALID;
        ALTER TABLE pushbox.b ADD COLUMN e numeric(10, 2);
        -- safe: partitioned, and without rows before the first release
        CREATE INDEX b_c_idx ON pushbox.b (c);";
    assert_eq!(faults(harmless), Vec::<String>::new());
    for harmful in [
        "CREATE INDEX b_id_idx ON pushbox.b (id)",
        "CREATE UNIQUE INDEX b_id_idx\nON ONLY pushbox.b (id);",
        "CREATE TABLE pushbox.a (id int); CREATE INDEX ON pushbox.b (id);",
        "ALTER TABLE pushbox.b ADD COLUMN c text NOT NULL",
        "ALTER TABLE pushbox.b ADD COLUMN a int DEFAULT 1, ADD COLUMN c text NOT NULL",
        "alter table pushbox.b add c text not null",
        "ALTER TABLE pushbox.b ALTER COLUMN c SET NOT NULL",
        "ALTER TABLE pushbox.b ALTER COLUMN c TYPE bigint",
        "ALTER TABLE pushbox.b DROP COLUMN c",
        "ALTER TABLE pushbox.b RENAME COLUMN c TO d",
        "ALTER TABLE pushbox.b ADD CONSTRAINT b_c_check CHECK (c <> '')",
        "DROP TABLE pushbox.b",
        "-- safe:\nDROP TABLE pushbox.b",
        "-- safe: this is about the first only\nDROP TABLE pushbox.a; SELECT 1; DROP VIEW v; TRUNCATE pushbox.b",
    ] {
        assert_eq!(faults(harmful).len(), 1, "{harmful}");
    }
}

#[tokio::test]
async fn any_number_of_processes_may_migrate_at_once() {
    let database = empty_database().await;
    let url = database.url.as_str();
    let migrate_once = || async move {
        let mut connection = PgConnection::connect(url).await.unwrap();
        migrate(&mut connection).await.unwrap().applied.len()
    };
    let (first, second, third) = tokio::join!(migrate_once(), migrate_once(), migrate_once());
    let mut applied = [first, second, third];
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, migrations().len()]);
}

#[tokio::test]
async fn every_table_and_column_is_explained() {
    let database = database().await;
    // Partitions have their parent's columns, and the day in their own comment.
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname || coalesce('.' || a.attname, '')
         FROM pg_class c
         CROSS JOIN LATERAL (
             SELECT 0 AS attnum, NULL AS attname
             UNION ALL
             SELECT attnum, attname FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND NOT c.relispartition
         ) a
         WHERE c.relnamespace IN ('pushbox'::regnamespace, 'audit'::regnamespace)
           AND c.relkind IN ('r', 'p', 'v', 'm')
           AND c.relname <> 'pushbox_schema_history'
           AND coalesce(CASE a.attnum WHEN 0 THEN obj_description(c.oid, 'pg_class') ELSE col_description(c.oid, a.attnum) END, '') = ''
         ORDER BY 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(silent.is_empty(), "COMMENT ON is missing for: {}", silent.join(", "));
}

#[tokio::test]
async fn migrations_apply_one_by_one_over_data() {
    let database = empty_database().await;
    for (version, name, sql) in migrations() {
        let name = format!("V{version}__{name}.sql");
        let sample = root().join("tests/data/migrations").join(&name);
        let sample = fs::read_to_string(&sample)
            .unwrap_or_else(|error| panic!("{}: {error}: every migration has sample data", sample.display()));
        for (what, sql) in [("migration", sql), ("sample data", sample)] {
            sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&database.pool)
                .await
                .unwrap_or_else(|error| panic!("{what} {name}: {error}"));
        }
    }
}

/// Otherwise the next migration would be tried over nothing.
#[tokio::test]
async fn sample_data_reaches_every_table() {
    let database = database().await;
    for (version, name, _) in migrations() {
        let sample = root().join(format!("tests/data/migrations/V{version}__{name}.sql"));
        let sample = fs::read_to_string(sample).expect("sample data");
        sqlx::raw_sql(AssertSqlSafe(sample)).execute(&database.pool).await.expect("sample data");
    }
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regclass::text FROM pg_class
         WHERE relnamespace = 'pushbox'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    for table in tables {
        let filled: bool = sqlx::query_scalar(AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM {table})")))
            .fetch_one(&database.pool)
            .await
            .unwrap();
        assert!(filled, "{table} has no row in tests/data/migrations");
    }
}
