//! Every operation of `Tensor` has an example in its documentation: a new one without fails here.

use std::{collections::BTreeMap, fs, path::Path};

const FENCE: &str = "```";

/// Whether text, or a macro that it names, writes an example.
fn has_example(text: &str, macros: &BTreeMap<String, String>) -> bool {
    let called = |name: &str| text.contains(&format!("{name}!(")) || text.contains(&format!("{name}! {{"));
    text.contains(FENCE) || macros.iter().any(|(name, body)| called(name) && body.contains(FENCE))
}

/// What `macro_rules!` of a file define.
fn macros(text: &str) -> BTreeMap<String, String> {
    let bodies = text.split("\nmacro_rules! ").skip(1);
    let define = |body: &str| Some((body.split_once(' ')?.0.to_owned(), body.split("\n}").next()?.to_owned()));
    bodies.filter_map(define).collect()
}

/// Public functions of a file's `impl Tensor` and rows of its macros, and whether each has an example.
fn functions(text: &str) -> Vec<(String, bool)> {
    let macros = macros(text);
    let (mut in_tensor, mut by_macro, mut comment) = (false, None, String::new());
    let mut found = Vec::new();
    for line in text.lines() {
        if !line.starts_with([' ', '}', '/', '#']) && !line.is_empty() {
            in_tensor = line.starts_with("impl Tensor {");
            by_macro = line.strip_suffix("! {").and_then(|name| macros.get(name));
        }
        let Some(row) = line.strip_prefix("    ") else { continue };
        if row.starts_with(['/', '#']) {
            comment += row;
            continue;
        }
        // An attribute goes on in lines that are indented more.
        if row.starts_with([' ', ')', ']']) && !comment.is_empty() {
            comment += row;
            continue;
        }
        let comment = std::mem::take(&mut comment);
        if let Some(template) = by_macro {
            let word = |w: &&str| w.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c));
            let example = has_example(&comment, &macros) || has_example(template, &macros);
            found.extend(row.split_whitespace().take_while(word).map(|name| (name.to_owned(), example)));
        } else if in_tensor {
            let signature = row.strip_prefix("pub fn ").or_else(|| row.strip_prefix("pub async fn "));
            let name = signature.and_then(|s| s.split(['(', '<']).next());
            found.extend(name.map(|name| (name.to_owned(), has_example(&comment, &macros))));
        }
    }
    found
}

#[test]
fn every_operation_has_an_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tensor");
    let (mut names, mut missing) = (Vec::new(), Vec::new());
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.ends_with("tests.rs") {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        for (name, example) in functions(&fs::read_to_string(&path).unwrap()) {
            if !example {
                missing.push(format!("{file}::{name}"));
            }
            names.push(name);
        }
    }
    for known in ["neg", "add", "add_scalar", "sum_keepdim", "conv2d", "einsum", "nonzero", "randn", "where_cond"] {
        assert!(names.iter().any(|name| name == known), "{known} was not found: does this test read the sources?");
    }
    missing.sort();
    assert!(missing.is_empty(), "{} of {} have no example: {missing:#?}", missing.len(), names.len());
}

#[test]
fn examples_are_seen_and_missed() {
    let bare = "impl Tensor {\n    /// A.\n    pub fn a(&self) {}\n    /// ```\n    pub fn b<T>() {}\n}";
    assert_eq!(functions(bare), [("a".to_owned(), false), ("b".to_owned(), true)]);
    let rows = "\nmacro_rules! with {\n    /// ```\n}\nmacro_rules! none {\n    x\n}\nwith! {\n    c c_keepdim C;\n}\nnone! {\n    d => D;\n}";
    let found = functions(rows);
    assert_eq!(found, [("c", true), ("c_keepdim", true), ("d", false)].map(|(n, e)| (n.to_owned(), e)));
}
