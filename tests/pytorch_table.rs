//! The page docs/pytorch.md names things that exist.

use std::{collections::BTreeSet, fs, path::Path};

/// Names that the sources declare: functions, types, enum variants and what the tensor macros make.
fn declared(folder: &Path, names: &mut BTreeSet<String>) {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            declared(&entry, names);
            continue;
        }
        for line in fs::read_to_string(&entry).unwrap_or_default().lines().map(str::trim_start) {
            for keyword in [
                "pub fn ",
                "pub async fn ",
                "pub const fn ",
                "fn ",
                "pub struct ",
                "pub enum ",
                "pub trait ",
                "pub type ",
            ] {
                names.extend(line.strip_prefix(keyword).map(word));
            }
            // `name => Operation;` and `name name_keepdim Operation;` of the macros in src/tensor, variants of enums.
            let mut words = line.split(' ');
            let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            if second == "=>" || second.ends_with("_keepdim") {
                names.extend([first.to_string(), second.to_string()]);
            }
            if first.starts_with(char::is_uppercase) {
                names.insert(word(first));
            }
        }
    }
}

/// Names in a piece of Rust: what follows a dot or `::`, and what is called.
fn used(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut start = None;
    for (i, c) in code.char_indices().chain([(code.len(), ' ')]) {
        if c.is_alphanumeric() || c == '_' {
            start = start.or(Some(i));
            continue;
        }
        let Some(from) = start.take() else { continue };
        let (before, word) = (&code[..from], &code[from..i]);
        let named = before.ends_with("::") || (before.ends_with('.') && !before.ends_with("..")) || c == '(';
        if named && word.starts_with(|c: char| c.is_alphabetic()) && !["f32", "await", "Some"].contains(&word) {
            found.push(word.to_string());
        }
    }
    found
}

#[test]
fn every_name_of_the_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/pytorch.md")).unwrap();
    let mut names = BTreeSet::new();
    declared(&root.join("src"), &mut names);
    let (mut checked, mut missing) = (0, Vec::new());
    let rows = page.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| ---"));
    for row in rows {
        // Bars inside code are written as `\|`.
        let row = row.replace("\\|", "¦");
        let votive = row.trim_end_matches([' ', '|']).rsplit_once(" | ").map_or("", |(_, votive)| votive);
        for code in votive.split('`').skip(1).step_by(2) {
            for name in used(code) {
                checked += 1;
                if !names.contains(&name) && name != "npy" && name != "optim" && name != "loss" {
                    missing.push(format!("{name} in `{code}`"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not found in src: {missing:#?}");
    assert!(checked > 300, "only {checked} names were found on the page");
}
