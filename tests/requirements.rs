//! Every requirement of `docs/requirements.md` has a test, which the list names, and a place in the source, which names
//! the requirement.
//!
//! A test counts for an id in its own name (`r53_…`), in the comments directly above it, or in a comment inside it,
//! where the assertion stands. Ignored tests do not count: they do not run with `cargo test`. Neither do helpers,
//! module documentation and strings.
//!
//! The column of tests is generated. `BLESS=1 cargo test --test requirements` writes it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

/// The list names at most this many tests of each requirement, and counts the others.
const NAMED: usize = 3;

#[test]
fn the_list_is_complete() {
    let listed: BTreeSet<_> = list().lines().filter_map(id_of_row).map(String::from).collect();
    for (kind, last) in [('R', 119), ('I', 12)] {
        for number in 1..=last {
            assert!(listed.contains(&format!("{kind}{number}")), "{kind}{number} is missing from the list");
        }
    }
    assert_eq!(listed.len(), 119 + 12, "the list has an id that nobody expects");
}

#[test]
fn every_id_in_a_test_is_on_the_list() {
    let list = list();
    let listed: BTreeSet<_> = list.lines().filter_map(id_of_row).collect();
    for (id, tests) in tests_by_id() {
        assert!(listed.contains(&id[..]), "{id} is not on the list, but in {tests:?}");
    }
}

/// Above each rule stands its requirement. Comments of tests inside `src`, and of files `tests.rs`, do not count.
#[test]
fn the_source_names_every_requirement_and_nothing_else() {
    let list = list();
    let listed: BTreeSet<_> = list.lines().filter_map(id_of_row).map(String::from).collect();
    let named: BTreeSet<_> = directories_of_source()
        .flat_map(|directory| sources(&directory))
        .filter(|path| !path.ends_with("tests.rs"))
        .flat_map(|path| ids_in_source(&fs::read_to_string(path).expect("a source file")))
        .collect();
    let missing: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty(), "no comment in the source names {missing:?}");
    let unknown: Vec<_> = named.difference(&listed).collect();
    assert!(unknown.is_empty(), "a comment in the source names {unknown:?}, which the list does not have");
}

#[test]
fn every_requirement_has_a_test_and_the_list_names_it() {
    let tests = tests_by_id();
    let list = list();
    let untested: Vec<_> = list.lines().filter_map(id_of_row).filter(|id| !tests.contains_key(*id)).collect();
    assert!(untested.is_empty(), "no test names {untested:?}");

    let expected: String = list.lines().map(|line| with_tests(line, &tests) + "\n").collect();
    if env::var_os("BLESS").is_some() {
        // At once, because other tests read it meanwhile.
        let written = list_path().with_extension("new");
        fs::write(&written, expected).expect("the folder of the list is writable");
        fs::rename(written, list_path()).expect("the list is writable");
    } else {
        let stale = list.lines().zip(expected.lines()).find(|(is, should_be)| is != should_be);
        assert!(stale.is_none(), "docs/requirements.md is stale; BLESS=1 cargo test --test requirements: {stale:#?}");
    }
}

/// The scanner itself: which ids count, and which do not.
#[test]
fn only_tests_that_run_count() {
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

/// R17
#[test]
#[ignore = "slow"]
fn r18_is_ignored() {
    // R19
}

// #[test]
// fn r20_is_commented_out() {}

/// R21
#[tokio::test(start_paused = true)]
async fn r22_of_a_runtime() {}

    #[test]
    fn indented(bytes in any::<u8>()) {
        // I2
    }
"#;
    let found: Vec<_> = tests_in(source).into_iter().map(|test| (test.name, test.ids)).collect();
    let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let expected = [
        ("r10_and_r11_in_a_name", ids(&["R4", "R5", "R10", "R11", "R13", "R14"])),
        ("r22_of_a_runtime", ids(&["R21", "R22"])),
        ("indented", ids(&["I2"])),
    ];
    assert_eq!(found, expected.map(|(name, ids)| (name.to_string(), ids)));
}

#[test]
fn only_comments_outside_of_tests_name_a_requirement_in_the_source() {
    let source = r#"
//! R1, and I2 of a module.
/// R3 of an item. Not XR4 or R5x.
const R6: &str = "R7"; // R8, §5.2: "R9"

#[cfg(test)]
mod tests {
    // R10
}
"#;
    assert_eq!(ids_in_source(source), ["R1", "I2", "R3", "R8", "R9"]);
}

#[test]
fn a_row_names_three_tests_and_counts_the_others() {
    let names = ["a.rs: one", "b.rs: two", "c.rs: three", "d.rs: four"].map(String::from);
    let row = |tests: &[String]| with_tests("| R1 | 5.2 | It is so. | old |", &[("R1".into(), tests.to_vec())].into());
    assert_eq!(row(&names[..1]), "| R1 | 5.2 | It is so. | `a.rs: one` |");
    assert_eq!(row(&names), "| R1 | 5.2 | It is so. | `a.rs: one`, `b.rs: two`, `c.rs: three`, and 1 more |");
}

/// A test that runs.
#[derive(Debug)]
struct Test {
    name: String,
    ids: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn list_path() -> PathBuf {
    root().join("docs/requirements.md")
}

fn list() -> String {
    fs::read_to_string(list_path()).expect("the list")
}

/// The id that a line of the list is about.
fn id_of_row(line: &str) -> Option<&str> {
    line.strip_prefix("| ")?.split(" |").next().filter(|word| is_id(word))
}

/// A row with its last column, the tests, as it should be; any other line as it is.
fn with_tests(line: &str, tests: &BTreeMap<String, Vec<String>>) -> String {
    let Some(tests) = id_of_row(line).and_then(|id| tests.get(id)) else { return line.to_string() };
    let (others, _) = line.trim_end_matches(" |").rsplit_once(" | ").expect("a row has several columns");
    let named = tests.iter().take(NAMED).map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
    match tests.len().saturating_sub(NAMED) {
        0 => format!("{others} | {named} |"),
        more => format!("{others} | {named}, and {more} more |"),
    }
}

/// The tests of each id as `file: name`; first those that have it in their name.
fn tests_by_id() -> BTreeMap<String, Vec<String>> {
    let mut by_id: BTreeMap<String, Vec<(bool, String)>> = BTreeMap::new();
    for directory in ["src", "tests", "crates", "integration"] {
        for path in sources(&root().join(directory)) {
            if path.ends_with(file!()) {
                continue;
            }
            let file = path.strip_prefix(root()).expect("it is below the root").display().to_string();
            for test in tests_in(&fs::read_to_string(&path).expect("a source file")) {
                for id in test.ids {
                    let is_in_name = ids(&test.name.to_uppercase().replace('_', " ")).any(|named| named == id);
                    by_id.entry(id).or_default().push((!is_in_name, format!("{file}: {}", test.name)));
                }
            }
        }
    }
    let sorted = |mut tests: Vec<(bool, String)>| {
        tests.sort();
        tests.into_iter().map(|(_, test)| test).collect()
    };
    by_id.into_iter().map(|(id, tests)| (id, sorted(tests))).collect()
}

/// All `.rs` files below a directory; none where it does not exist: a published crate lacks some.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("a directory entry").path()) {
        if path.is_dir() && !path.ends_with("target") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The tests of a file that run. Relies on the layout that rustfmt gives.
fn tests_in(source: &str) -> Vec<Test> {
    let lines: Vec<_> = source.lines().collect();
    let is_test = |line: &str| line.trim() == "#[test]" || line.trim().starts_with("#[tokio::test");
    let tests = (0..lines.len()).filter(|&at| is_test(lines[at]));
    tests.filter_map(|at| test_at(&lines, at)).collect()
}

/// The test whose attribute is at this line, unless it is ignored.
fn test_at(lines: &[&str], at: usize) -> Option<Test> {
    // Attributes and comments directly above belong to it.
    let above = lines[..at].iter().rev().take_while(|line| line.trim().starts_with(['#', '/'])).count();
    let indent = &lines[at][..lines[at].len() - lines[at].trim_start().len()];
    let is_last = |line: &str| line == format!("{indent}}}") || line.ends_with("{}");
    let length = lines[at..].iter().take_while(|line| !is_last(line)).count() + 1;
    let lines = &lines[at - above..lines.len().min(at + length)];
    let signature = lines.iter().find_map(|line| line.trim().trim_start_matches("async ").strip_prefix("fn "))?;
    let name = signature.split('(').next()?.to_string();
    if lines.iter().any(|line| line.trim().starts_with("#[ignore")) {
        return None;
    }
    let comments = lines.iter().filter_map(|line| comment(line)).flat_map(ids);
    let in_name = name.to_uppercase().replace('_', " ");
    Some(Test { ids: comments.chain(ids(&in_name)).collect(), name })
}

/// Where the source is: of this crate, and of those in `crates` if it is not a published copy.
fn directories_of_source() -> impl Iterator<Item = PathBuf> {
    let crates = fs::read_dir(root().join("crates")).into_iter().flatten();
    let crates = crates.map(|entry| entry.expect("a directory entry").path());
    crates.chain([root().to_path_buf()]).map(|directory| directory.join("src"))
}

/// The ids in the comments of a file, outside of its tests.
fn ids_in_source(source: &str) -> Vec<String> {
    let code = source.split("\nmod tests {").next().unwrap_or_default();
    code.lines().filter_map(comment).flat_map(ids).collect()
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
