//! The table "Where things are" in `src/lib.rs` is true: each module depends only on rows below its own, and the
//! modules of a folder do not depend on each other in a circle. Files and functions stay short enough to read.
//!
//! A dependency is a path in the code: `use crate::…`, `use super::…`, or such a path inside an expression. Names that
//! a module re-exports count for the module that defines them. Tests and comments do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const MAX_FILE: usize = 450;
const MAX_FUNCTION: usize = 60;

#[test]
fn each_module_depends_only_on_rows_below_its_own() {
    let sources = Sources::read();
    let problems = sources.arrows_up();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_modules_of_a_folder_form_no_circle() {
    let problems = Sources::read().circles();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_file_is_in_the_table() {
    let sources = Sources::read();
    let missing: Vec<_> =
        sources.files.keys().filter(|file| *file != "lib.rs" && sources.row(file).is_none()).collect();
    assert!(missing.is_empty(), "not in the table of src/lib.rs: {missing:?}");
    let unknown = |name: &&String| !sources.files.keys().any(|file| file.starts_with(*name));
    let unknown: Vec<_> = sources.table.iter().flatten().filter(unknown).collect();
    assert!(unknown.is_empty(), "in the table, but not in src: {unknown:?}");
}

#[test]
fn files_and_functions_are_short() {
    let sources = Sources::read();
    let mut problems = Vec::new();
    for (file, text) in &sources.files {
        let lines = text.lines().count();
        if lines > MAX_FILE {
            problems.push(format!("src/{file}: {lines} lines"));
        }
        for (line, length) in functions(&sources.code[file]).filter(|(_, length)| *length > MAX_FUNCTION) {
            problems.push(format!("src/{file}:{line}: a function of {length} lines"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The checker itself, on a crate of four modules.
mod checker {
    use super::*;

    const TABLE: &str = "//! # Where things are\n//! | files | hold |\n//! |---|---|\n//! | `top.rs` | x |\n\
        //! | `mid.rs`, `mid/` | x |\n//! | `low.rs` | x |\n";

    fn sources(files: &[(&str, &str)]) -> Sources {
        let lib =
            ("lib.rs", format!("{TABLE}mod top;\nmod mid;\nmod low;\npub use low::Low;\npub use {{top::Top}};\n"));
        let files = files.iter().map(|(name, text)| (*name, (*text).to_string())).chain([lib]);
        Sources::new(files.map(|(name, text)| (name.to_string(), text)).collect())
    }

    #[test]
    fn arrows_down_and_inside_a_row_are_allowed() {
        let all = sources(&[
            ("top.rs", "use crate::{mid::{self, a::{A, B}}, Low};\nfn f() -> crate::low::Low {}"),
            ("mid.rs", "mod a;\nmod b;\nuse a::A;\npub use self::b::B;\nuse crate::low::Low;"),
            ("mid/a.rs", "use super::b::B;\nuse core::top::Top;\n"),
            ("mid/b.rs", "use super::Low;\nuse std::fmt;"),
            ("low.rs", "pub struct Low;"),
        ]);
        assert_eq!((all.arrows_up(), all.circles()), (vec![], vec![]));
    }

    #[test]
    fn an_arrow_up_is_named_with_its_line() {
        for up in [
            "use crate::{\n    top::Top,\n};",
            "\nuse crate::Top;",
            "\nuse super::Top;",
            "\nfn f(_: crate::top::Top) {}",
        ] {
            let all = sources(&[("top.rs", "pub struct Top;"), ("mid.rs", ""), ("low.rs", up)]);
            assert_eq!(all.arrows_up(), ["src/low.rs:2: low.rs -> top.rs"], "{up}");
        }
        let all = sources(&[
            ("top.rs", "pub struct Top;"),
            ("mid.rs", "mod a;"),
            ("mid/a.rs", "use crate::Top;"),
            ("low.rs", ""),
        ]);
        assert_eq!(all.arrows_up(), ["src/mid/a.rs:1: mid/a.rs -> top.rs"]);
    }

    #[test]
    fn tests_comments_strings_and_visibilities_do_not_count() {
        let quiet = "// use crate::top::Top;\n/// crate::top\n/* crate::top */\nconst A: &str = \"crate::top \\\" crate::top\";\n\
            const B: char = '\"';\npub(in crate::top) fn f<'a>() {}\nconst R: &str = r#\"\" crate::top::Top\"#;\n\
            #[cfg(test)]\nmod tests {\n    use crate::top::Top;\n    fn g() { {} }\n}\n\
            #[cfg(test)]\n#[path = \"x\"]\nmod more;\n#[cfg(all(test, unix))]\nuse crate::top::Top;\n";
        let all = sources(&[("top.rs", "pub struct Top;"), ("mid.rs", ""), ("low.rs", quiet)]);
        assert_eq!(all.arrows_up(), [""; 0]);
        let all = sources(&[("top.rs", ""), ("mid.rs", ""), ("low.rs", &format!("{quiet}use crate::top::Top;"))]);
        assert_eq!(all.arrows_up(), ["src/low.rs:18: low.rs -> top.rs"]);
    }

    #[test]
    fn a_circle_is_found_also_through_a_third_module() {
        let all = sources(&[
            ("top.rs", ""),
            ("mid.rs", "mod a;\nmod b;\nmod c;\n"),
            ("mid/a.rs", "\nuse super::b::B;"),
            ("mid/b.rs", "use crate::mid::c;"),
            ("mid/c/d.rs", "use crate::mid::a::A;"),
            ("mid/c.rs", ""),
            ("low.rs", ""),
        ]);
        let [circle] = &all.circles()[..] else { panic!("{:?}", all.circles()) };
        for part in
            ["src/mid/a.rs:2: mid/a -> mid/b", "src/mid/b.rs:1: mid/b -> mid/c", "src/mid/c/d.rs:1: mid/c -> mid/a"]
        {
            assert!(circle.contains(part), "{circle}");
        }
    }

    #[test]
    fn the_length_of_a_function_is_counted_to_its_closing_brace() {
        let code = "trait T {\n    fn a();\n}\nfn b(\n    x: [u8; 2],\n) -> u8 {\n    if x {\n    }\n}\nfn c() {}\n";
        assert_eq!(functions(code).collect::<Vec<_>>(), [(4, 6), (10, 1)]);
    }
}

/// The files of a crate, by their paths below `src`.
struct Sources {
    files: BTreeMap<String, String>,
    /// The same without comments, strings and tests; line breaks stay.
    code: BTreeMap<String, String>,
    /// The first column of the table, row by row.
    table: Vec<Vec<String>>,
    /// What `use` brings into each module.
    imports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

/// The path of a module: `["mid", "a"]`.
type Module = Vec<String>;

/// A path in the code, with the line it is on.
struct Mention {
    line: usize,
    path: Vec<String>,
    /// In a `use`: it may begin with a module of the same file.
    imported_as: Option<String>,
}

impl Sources {
    fn read() -> Self {
        let mut files = BTreeMap::new();
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![src.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&src).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
                    files.insert(name, fs::read_to_string(&path).expect("a source file"));
                }
            }
        }
        Self::new(files)
    }

    fn new(files: BTreeMap<String, String>) -> Self {
        let code: BTreeMap<_, _> =
            files.iter().map(|(name, text)| (name.clone(), without_tests(&blank(text)))).collect();
        let table = table(&files["lib.rs"]);
        let mut imports = BTreeMap::new();
        for (name, code) in &code {
            let names = mentions(code).into_iter().filter_map(|mention| Some((mention.imported_as?, mention.path)));
            imports.insert(module(name), names.collect());
        }
        Self { files, code, table, imports }
    }

    /// The row of a file: of the longest name in the table that is the file or a folder around it.
    fn row(&self, file: &str) -> Option<usize> {
        let names = self.table.iter().enumerate().flat_map(|(row, names)| names.iter().map(move |name| (row, name)));
        let fitting = names.filter(|(_, name)| *name == file || name.ends_with('/') && file.starts_with(name.as_str()));
        fitting.max_by_key(|(_, name)| name.len()).map(|(row, _)| row)
    }

    /// The dependencies of all files: file, line, and the module that it leads to.
    fn arrows(&self) -> Vec<(&str, usize, Module)> {
        let mut arrows = Vec::new();
        for (file, code) in self.code.iter().filter(|(file, _)| *file != "lib.rs") {
            let from = module(file);
            for mention in mentions(code) {
                let relative = mention.imported_as.is_some();
                if let Some(to) = self.resolve(&from, &mention.path, relative, 0).filter(|to| *to != from) {
                    arrows.push((file.as_str(), mention.line, to));
                }
            }
        }
        arrows
    }

    /// The module that defines what `path` names in the module `from`; `None` outside of this crate.
    fn resolve(&self, from: &Module, path: &[String], relative: bool, depth: usize) -> Option<Module> {
        let mut module = from.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                while rest.get(1).is_some_and(|next| next == "super") {
                    module.pop();
                    rest = &rest[1..];
                }
                module.pop();
            }
            first => {
                module.push(first.into());
                if !relative || !self.imports.contains_key(&module) {
                    return None;
                }
            }
        }
        for (at, name) in rest.iter().enumerate().skip(1) {
            module.push(name.clone());
            if self.imports.contains_key(&module) {
                continue;
            }
            module.pop();
            let import = self.imports[&module].get(name).filter(|_| depth < 9);
            let import = import.map(|import| [import, &rest[at + 1..]].concat());
            return import.and_then(|import| self.resolve(&module, &import, true, depth + 1)).or(Some(module));
        }
        Some(module)
    }

    fn arrows_up(&self) -> Vec<String> {
        let mut problems = BTreeSet::new();
        for (file, line, to) in self.arrows() {
            let target = self.code.keys().find(|name| module(name) == to).expect("a module of this crate");
            let (Some(from_row), Some(to_row)) = (self.row(file), self.row(target)) else { continue };
            if to_row < from_row {
                problems.insert(format!("src/{file}:{line}: {file} -> {target}"));
            }
        }
        problems.into_iter().collect()
    }

    /// The circles between modules of one folder, each with one arrow for each of its steps.
    fn circles(&self) -> Vec<String> {
        let mut edges: BTreeMap<Module, BTreeMap<Module, String>> = BTreeMap::new();
        for (file, line, to) in self.arrows() {
            let from = module(file);
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            // A module and what is inside of it are one.
            if common < from.len() && common < to.len() {
                let (a, b) = (from[..=common].to_vec(), to[..=common].to_vec());
                let arrow = format!("src/{file}:{line}: {} -> {}", a.join("/"), b.join("/"));
                edges.entry(a).or_default().entry(b).or_insert(arrow);
            }
        }
        let mut circles = BTreeMap::new();
        for start in edges.keys() {
            if let Some(circle) = shortest_circle(&edges, start) {
                let members: BTreeSet<_> = circle.iter().cloned().collect();
                let steps = circle.iter().zip(circle.iter().cycle().skip(1)).map(|(a, b)| edges[a][b].clone());
                circles.entry(members).or_insert_with(|| steps.collect::<Vec<_>>().join("\n    "));
            }
        }
        circles.into_values().map(|circle| format!("a circle:\n    {circle}")).collect()
    }
}

/// A shortest way from a module back to itself.
fn shortest_circle(edges: &BTreeMap<Module, BTreeMap<Module, String>>, start: &Module) -> Option<Vec<Module>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in way.last().and_then(|last| edges.get(last)).into_iter().flat_map(BTreeMap::keys) {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    longer.push([&way[..], std::slice::from_ref(next)].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

fn module(file: &str) -> Module {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|name| *name != "lib").map(String::from).collect()
}

/// The names in backquotes in the first column of the table.
fn table(lib: &str) -> Vec<Vec<String>> {
    let rows = lib.lines().skip_while(|line| !line.contains("# Where things are")).skip(1);
    let rows = rows.take_while(|line| line.starts_with("//!") && !line.contains("# "));
    let names = rows.filter_map(|line| line.strip_prefix("//! | `")?.split(" |").next());
    names.map(|names| names.split(", ").map(|name| name.replace('`', "")).collect()).collect()
}

/// All paths that begin with `crate`, `super` or `self`, and all that a `use` has.
fn mentions(code: &str) -> Vec<Mention> {
    let tokens = tokens(code);
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if word(at) == "use" && word(at + 1) != "<" {
            at = tree(&tokens, at + 1, &[], &mut found);
        } else if ["crate", "super"].contains(&word(at)) && word(at + 1) == "::" && (at == 0 || word(at - 1) != "in") {
            let line = tokens[at].0;
            let mut path = vec![word(at).to_string()];
            while word(at + 1) == "::" && is_name(word(at + 2)) {
                path.push(word(at + 2).into());
                at += 2;
            }
            found.push(Mention { line, path, imported_as: None });
        }
        at += 1;
    }
    found
}

/// One branch of a `use`, from this token on; returns where it ends.
fn tree(tokens: &[(usize, &str)], mut at: usize, stem: &[String], found: &mut Vec<Mention>) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1);
    let (line, mut path) = (tokens.get(at).map_or(0, |token| token.0), stem.to_vec());
    // `::name` is another crate.
    let is_foreign = stem.is_empty() && word(at) == "::";
    at += usize::from(is_foreign);
    loop {
        match word(at) {
            "{" => {
                while !["}", ""].contains(&word(at)) {
                    at = tree(tokens, at + 1, &path, found);
                }
                return at + 1;
            }
            name if is_name(name) || name == "*" => {
                if name != "self" || path.is_empty() {
                    path.push(name.into());
                }
                at += 1;
            }
            "::" => at += 1,
            _ => break,
        }
        if word(at) == "as" {
            let alias = word(at + 1).to_string();
            found.push(Mention { line, path, imported_as: Some(alias) });
            return at + 2;
        }
    }
    if !is_foreign && let Some(name) = path.last().cloned() {
        found.push(Mention { line, path, imported_as: Some(name) });
    }
    at
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::`, and every other character by itself, each with its line.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let len = match first {
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push((line, &rest[..len]));
        }
        line += usize::from(first == '\n');
        rest = &rest[len..];
    }
    tokens
}

/// Replaces comments, and the contents of strings and characters, by spaces.
fn blank(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let after = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
        let hashes = rest.strip_prefix('r').map_or(0, |rest| rest.len() - rest.trim_start_matches('#').len());
        let follows_a_word = out.ends_with(|c: char| c.is_alphanumeric() && c != 'b');
        let len = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => after(2, "*/"),
            'r' if rest[1 + hashes..].starts_with('"') && !follows_a_word => {
                after(2 + hashes, &format!("\"{}", "#".repeat(hashes)))
            }
            '"' => escaped(rest, '"'),
            '\'' if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') => escaped(rest, '\''),
            _ => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        out.extend(rest[..len].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[len..];
    }
    out
}

/// The length of a string or character that begins here, with both of its quotes.
fn escaped(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

/// Replaces the items under `#[cfg(test)]` and `#[cfg(all(test, …))]` by their line breaks.
fn without_tests(code: &str) -> String {
    let (mut out, mut rest) = (String::new(), code);
    while let Some(at) = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|test| rest.find(test)).min() {
        let item = &rest[at..];
        let end = item.find(['{', ';']).map_or(item.len(), |end| end + block(&item[end..]));
        out.push_str(&rest[..at]);
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// The length of the block that begins here; of anything else, one.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The lines on which functions with a body begin, and how many lines they have.
fn functions(code: &str) -> impl Iterator<Item = (usize, usize)> {
    let starts =
        code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    starts.filter_map(|(at, _)| {
        let mut depth = 0;
        let begin = code[at..].find(|c: char| {
            depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
            depth == 0 && "{;".contains(c) || depth < 0
        })?;
        let body = &code[at + begin..];
        let lines = |text: &str| text.matches('\n').count();
        let length = begin + block(body);
        body.starts_with('{').then(|| (lines(&code[..at]) + 1, lines(&code[at..at + length]) + 1))
    })
}
