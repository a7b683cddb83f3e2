//! Reading our own source as text: which files there are, and what in them is code.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file of this repository.
pub(crate) struct SourceFile {
    /// From the root of the repository.
    pub(crate) path: PathBuf,
    /// As it is.
    pub(crate) text: String,
    /// With comments, strings and characters blanked; every line and column is where it was.
    pub(crate) code: String,
    /// Whether it is compiled for tests only, as the declaration of its module says.
    pub(crate) is_test: bool,
}

impl SourceFile {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&path)).expect("read a source file");
        let code = blank(&text);
        Self { path, text, code, is_test: false }
    }

    /// Where the files of the modules may be that `code`, a part of this file, declares.
    fn modules(&self, code: &str) -> Vec<PathBuf> {
        let owner = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| self.path.ends_with(name));
        let directory = if owner { self.path.with_file_name("") } else { self.path.with_extension("") };
        let files = |name| [directory.join(format!("{name}.rs")), directory.join(name).join("mod.rs")];
        declared(code).into_iter().flat_map(files).collect()
    }

    /// The same for modules that are declared for tests only.
    fn test_modules(&self) -> Vec<PathBuf> {
        let shipped = self.modules(&without_tests(&self.code));
        self.modules(&self.code).into_iter().filter(|path| !shipped.contains(path)).collect()
    }

    /// The top-level module it belongs to: `queue` for `src/queue/claim.rs`; none for `lib.rs` and `main.rs`.
    pub(crate) fn module(&self) -> Option<&str> {
        let mut parts = self.path.iter().skip(1);
        let first = parts.next()?.to_str()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// The code without what is compiled for tests only: nothing of `tests.rs` and of `tests/`.
    pub(crate) fn shipped(&self) -> String {
        let is_test = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
        if self.path.starts_with("src") && self.path.iter().any(is_test) {
            return String::new();
        }
        without_tests(&self.code)
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files under `directory` of the repository, sorted.
pub(crate) fn rust_files(directory: &str) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(root().join(&directory)).expect("read a source directory") {
            let path = directory.join(entry.expect("an entry").file_name());
            if root().join(&path).is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    let mut files = found.into_iter().map(SourceFile::read).collect::<Vec<_>>();
    mark_tests(&mut files);
    files
}

/// A module that is declared under `#[cfg(test)]` is a test, and so is whatever it declares.
fn mark_tests(files: &mut [SourceFile]) {
    let mut open: Vec<PathBuf> = files.iter().flat_map(SourceFile::test_modules).collect();
    while let Some(path) = open.pop() {
        if let Some(file) = files.iter_mut().find(|file| file.path == path && !file.is_test) {
            file.is_test = true;
            open.extend(file.modules(&file.code));
        }
    }
}

/// The names of modules that have files of their own: `mod name;`.
fn declared(code: &str) -> Vec<&str> {
    let names = words(code, "mod ").into_iter().map(|at| (at + 4, name_at(code, at + 4)));
    names.filter(|(at, name)| code[at + name.len()..].starts_with(';')).map(|(_, name)| name).collect()
}

/// The number of the line that has the byte at `offset`, from 1.
pub(crate) fn line(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where `word` stands in `code` as a word of its own, not as a part of a longer name.
pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| !word.starts_with(is_name) || !code[..*at].ends_with(is_name))
        .filter(|at| !word.ends_with(is_name) || !code[at + word.len()..].starts_with(is_name))
        .collect()
}

/// What follows `prefix`, as in `crate::`, wherever it starts a path: the next name, or each first name of a group.
/// With the offset of each.
pub(crate) fn names_after<'a>(code: &'a str, prefix: &str) -> Vec<(usize, &'a str)> {
    words(code, prefix)
        .into_iter()
        .filter(|at| !code[..*at].trim_end().ends_with("::"))
        .flat_map(|at| first_names(code, at + prefix.len()))
        .collect()
}

fn first_names(code: &str, start: usize) -> Vec<(usize, &str)> {
    if !code[start..].starts_with('{') {
        return vec![(start, name_at(code, start))];
    }
    let mut names = Vec::new();
    let (mut depth, mut expected) = (0, false);
    for (at, c) in code[start..].char_indices().map(|(at, c)| (start + at, c)) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match c {
            _ if depth == 0 => break,
            '{' | ',' if depth == 1 => expected = true,
            _ if expected && !c.is_whitespace() => {
                names.push((at, name_at(code, at)));
                expected = false;
            }
            _ => {}
        }
    }
    names.retain(|(_, name)| !name.is_empty());
    names
}

fn name_at(code: &str, at: usize) -> &str {
    let rest = &code[at..];
    &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
}

/// Blanks comments, strings and characters; line breaks stay.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal_or_comment(rest, code.chars().next_back()).unwrap_or(0);
        if length == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            // One blank per byte keeps offsets; what is not ASCII only occurs in what is blanked.
            code.extend(rest[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    code
}

/// The length of the comment or literal that `text` starts with.
fn literal_or_comment(text: &str, before: Option<char>) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if text.starts_with('\'') {
        let mut chars = text.chars().skip(1);
        let (first, second) = (chars.next()?, chars.next()?);
        // Anything else is a lifetime.
        return (first == '\\' || second == '\'').then(|| quoted(text, '\''));
    }
    if text.starts_with('r') && !before.is_some_and(|c| c.is_alphanumeric() && c != 'b' || c == '_') {
        let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
        if text[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
        }
    }
    None
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Cuts every item under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some(start) = code.find("#[cfg(test)]") {
        let body = start + code[start..].find(['{', ';']).unwrap_or(0);
        let mut depth = 0_usize;
        let mut end = code.len();
        for (at, c) in code[body..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = body + at + 1;
                break;
            }
        }
        code.replace_range(start..end, "");
    }
    code
}

#[test]
fn what_is_not_code_is_blanked() {
    for (text, code) in [
        ("a // crate::x\nb", "a            \nb"),
        ("a /* x /* y */ z */ b", "a                   b"),
        (r#"f("crate::x \" y", 'x', '\'')"#, "f(               ,    ,     )"),
        ("let s = r#\"a \" b\"#;", "let s =           ;"),
        ("let s = br\"x\";", "let s = b    ;"),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("\"é\" + for", "     + for"),
    ] {
        assert_eq!(blank(text), code, "{text}");
    }
}

#[test]
fn tests_are_cut_wherever_they_are() {
    let code =
        "fn a() {}\n#[cfg(test)]\nmod tests { fn x() { {} } }\nfn b() {}\n#[cfg(test)]\nmod more;\nfn c() {}";
    assert_eq!(without_tests(code), "fn a() {}\n\nfn b() {}\n\nfn c() {}");
}

#[test]
fn files_of_test_modules_are_known_by_their_declaration() {
    let file = |path: &str, code: &str| SourceFile {
        path: path.into(),
        text: code.to_owned(),
        code: code.to_owned(),
        is_test: false,
    };
    let mut files = [
        file(
            "src/a/mod.rs",
            "mod tests;\nmod b;\n#[cfg(test)]\nmod checks;\n#[cfg(test)]\nmod inline { fn f() {} }",
        ),
        file("src/a/b.rs", "#[cfg(test)]\npub(crate) mod stub;"),
        file("src/a/b/stub.rs", ""),
        file("src/a/checks/mod.rs", "mod deep;"),
        file("src/a/checks/deep.rs", ""),
        file("src/a/inline.rs", ""),
        file("src/a/tests.rs", ""),
    ];
    mark_tests(&mut files);
    let tests: Vec<_> =
        files.iter().filter(|file| file.is_test).map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(
        tests,
        ["src/a/b/stub.rs", "src/a/checks/mod.rs", "src/a/checks/deep.rs"],
        "not by their names"
    );
}

#[test]
fn names_are_found_in_groups_too() {
    let code = "use crate::{domain::{job, order}, store}; crate::queue::enqueue(); macrocrate::x(); pub(crate) fn f() {}";
    let names: Vec<&str> = names_after(code, "crate::").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["domain", "store", "queue"]);
    let code = "use crate::{\n    clock,\n    config::*,\n};";
    let names: Vec<&str> = names_after(code, "crate::").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["clock", "config"]);
}
