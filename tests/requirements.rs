//! Every requirement of `docs/requirements.md` stands in a test, and every id that a test names is on that list.
//!
//! An id counts in the name of a test (`r53_…`), in the comments above it and in those inside it; in the fuzz targets,
//! in any comment. Elsewhere it says nothing: a module's documentation, a helper, a string and a test that is ignored prove no
//! requirement.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

#[test]
fn the_list_is_complete() {
    let listed = listed();
    for (kind, last) in [('R', 119), ('I', 12)] {
        for number in 1..=last {
            assert!(listed.contains(&format!("{kind}{number}")), "{kind}{number} is missing from the list");
        }
    }
}

#[test]
fn every_requirement_has_a_test() {
    let (listed, named) = (listed(), named());
    let untested: Vec<_> = listed.difference(&named).collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
}

#[test]
fn every_id_in_a_test_is_on_the_list() {
    let (listed, named) = (listed(), named());
    let unknown: Vec<_> = named.difference(&listed).collect();
    assert!(unknown.is_empty(), "no requirement is called {unknown:?}");
}

/// The scanner itself: what counts, and what does not.
#[test]
fn only_tests_count() {
    let source = r#"
//! R1 in a module's documentation.

/// R2 on a helper.
fn helper() {
    // R3 in a helper.
}

/// R4 above a test, R5. Not XR6 or R7x or R8_9.
#[test]
fn r10_and_r11_in_a_name() {
    let url = "ws://R12"; // R13 at the end of a line
    // R14: on a line of its own
    helper("R15 in a string");
}

// R16 behind it.
fn other() {}

/// R17 above a test of a runtime.
#[tokio::test(start_paused = true)]
async fn r18_asynchronous() {
    // R19
}

/// R20 of a test that does not run.
#[test]
#[ignore = "slow"]
fn r21_ignored() {
    // R22
}

// #[test]
// fn r23_is_a_comment() {}

    #[test]
    fn indented(bytes in any::<u8>()) {
        // I2
    }
"#;
    let found: BTreeSet<_> = ids_in_tests(source).into_iter().collect();
    let expected = ["R4", "R5", "R10", "R11", "R13", "R14", "R17", "R18", "R19", "I2"];
    assert_eq!(found, expected.map(String::from).into_iter().collect());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The ids in the first column of the list's tables.
fn listed() -> BTreeSet<String> {
    let list = fs::read_to_string(root().join("docs/requirements.md")).expect("the list");
    let first_column = list.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let ids: Vec<_> = first_column.filter(|word| is_id(word)).map(String::from).collect();
    let unique: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), unique.len(), "an id is on the list twice");
    unique
}

/// The ids that tests name, and fuzz targets.
fn named() -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for file in sources(&root().join("tests")).into_iter().chain(sources(&root().join("src"))) {
        if !file.ends_with(file!()) {
            named.extend(ids_in_tests(&fs::read_to_string(file).expect("a source file")));
        }
    }
    for file in sources(&root().join("fuzz/fuzz_targets")).into_iter().chain(sources(&root().join("fuzz/src"))) {
        let source = fs::read_to_string(file).expect("a source file");
        named.extend(source.lines().filter_map(comment).flat_map(ids));
    }
    named
}

/// All `.rs` files below a directory; none where it does not exist: a published crate has no `fuzz`.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("a directory entry").path()) {
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The ids in the names and comments of a file's tests. Relies on the layout that rustfmt gives.
fn ids_in_tests(source: &str) -> Vec<String> {
    let lines: Vec<_> = source.lines().collect();
    let mut found = Vec::new();
    for test in (0..lines.len()).filter(|&at| is_test(lines[at])) {
        // Attributes and comments directly above belong to it.
        let above = lines[..test].iter().rev().take_while(|line| line.trim().starts_with(['#', '/'])).count();
        let indent = &lines[test][..lines[test].len() - lines[test].trim_start().len()];
        let closing = format!("{indent}}}");
        let length = lines[test..].iter().take_while(|&&line| line != closing).count();
        let lines = &lines[test - above..test + length];
        if lines.iter().any(|line| line.trim().starts_with("#[ignore")) {
            continue;
        }
        for line in lines {
            found.extend(comment(line).into_iter().flat_map(ids));
            let item = line.trim();
            if let Some(signature) = item.strip_prefix("async ").unwrap_or(item).strip_prefix("fn ") {
                let name = signature.split('(').next().unwrap_or_default().to_uppercase();
                found.extend(name.split('_').filter(|word| is_id(word)).map(String::from));
            }
        }
    }
    found
}

/// The attribute of a test, of a runtime's too.
fn is_test(line: &str) -> bool {
    let line = line.trim();
    line == "#[test]" || line.starts_with("#[tokio::test")
}

/// What stands behind `//` outside a string.
fn comment(line: &str) -> Option<&str> {
    line.match_indices("//")
        .find(|(at, _)| line[..*at].matches('"').count().is_multiple_of(2))
        .map(|(at, _)| &line[at..])
}

fn ids(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| is_id(word)).map(String::from)
}

/// `R1`, `I12`: a capital and a number.
fn is_id(word: &str) -> bool {
    word.strip_prefix(['R', 'I'])
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
