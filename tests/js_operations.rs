//! JavaScript's `Tensor` has every operation of Rust's: a new one that its table lacks fails here.

use std::{collections::BTreeSet, fs, path::Path};

/// What JavaScript has in another form, or cannot have.
const ELSEWHERE: [(&str, &str); 19] = [
    ("apply", "operations are called by their names"),
    ("arange", "arange with a step"),
    ("device", "there is one"),
    ("dim", "shape"),
    ("dims", "shape"),
    ("dims1", "shape"),
    ("dims2", "shape"),
    ("dims3", "shape"),
    ("dims4", "shape"),
    ("elements", "size"),
    ("flatten_all", "flatten without arguments"),
    ("from_slice", "Tensor.from"),
    ("item", "item"),
    ("layout", "an inner matter"),
    ("new", "Tensor.from"),
    ("rank", "rank"),
    ("shape", "shape"),
    ("to_buffer", "data"),
    ("to_device", "there is one"),
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The first words of the rows of macros that make methods, and the names of public functions in `impl Tensor`.
fn methods(text: &str, found: &mut BTreeSet<String>) {
    let (mut in_tensor, mut in_macro) = (false, false);
    for line in text.lines() {
        if !line.starts_with([' ', '}', '/', '#']) && !line.is_empty() {
            in_tensor = line.starts_with("impl Tensor {");
            in_macro = line.ends_with("! {");
        }
        let Some(row) = line.strip_prefix("    ").filter(|row| !row.starts_with([' ', '/', '#'])) else { continue };
        let names: Vec<&str> = if in_macro && row.ends_with(';') {
            row.split_whitespace()
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c)))
                .collect()
        } else if in_tensor {
            let signature = row.strip_prefix("pub fn ").or_else(|| row.strip_prefix("pub async fn "));
            signature.and_then(|s| s.split(['(', '<']).next()).into_iter().collect()
        } else {
            Vec::new()
        };
        found.extend(names.into_iter().map(str::to_owned));
    }
}

#[test]
fn javascript_has_every_operation() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut operations = BTreeSet::new();
    for entry in fs::read_dir(root.join("src/tensor")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("tests.rs") {
            methods(&read(&path), &mut operations);
        }
    }
    for known in ["neg", "add", "sum_keepdim", "conv2d", "einsum", "nonzero", "randn", "where_cond"] {
        assert!(operations.contains(known), "{known} was not found: does this test read the sources as they are?");
    }
    let face: String = ["operations.rs", "mod.rs"].map(|f| read(&root.join("src/web/tensor").join(f))).concat();
    let called = |name: &str| [".", "::"].iter().any(|by| face.contains(&format!("{by}{name}(")));
    let elsewhere = |name: &str| {
        // Numbers are operands, nothing waits, and elements are read as typed arrays.
        name.ends_with("_scalar")
            || name.ends_with("_sync")
            || name.starts_with("to_vec")
            || name == "to_scalar"
            || ELSEWHERE.iter().any(|(known, _)| *known == name)
    };
    let missing: Vec<_> = operations.iter().filter(|name| !elsewhere(name) && !called(name)).collect();
    assert!(missing.is_empty(), "src/web/tensor/operations.rs lacks {missing:?}");
    let stale: Vec<_> = ELSEWHERE.iter().filter(|(name, _)| !operations.contains(*name)).collect();
    assert!(stale.is_empty(), "no longer operations: {stale:?}");
}
