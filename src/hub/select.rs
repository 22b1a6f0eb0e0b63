//! Which files of a folder or repository make up one model.

use crate::error::{Error, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is taken when nobody says which GGUF: small and good first.
const PREFERRED: [&str; 19] = [
    "Q4_K_M", "Q4_0", "Q8_0", "Q4_K_S", "Q4_1", "Q5_K_M", "Q5_K_S", "Q5_0", "Q5_1", "Q6_K", "Q4_K", "Q5_K", "Q3_K_M",
    "Q3_K_L", "Q3_K_S", "Q2_K", "F16", "BF16", "F32",
];

/// Files beside safetensors or PyTorch files that a model needs or may use.
const SIDE_FILES: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
];

/// One GGUF model: its file, or all parts of a split one in order; or a whisper.cpp file.
struct Group {
    /// The name without the part number.
    name: String,
    /// Parts that there should be.
    count: usize,
    files: Vec<String>,
}

/// Chooses the files of one model among `names` (paths inside a folder or repository, `/` between folders).
///
/// `pattern` may be a file, text that a file name must contain as a word (`Q8_0`), or a pattern with `*`. Without
/// one, a GGUF is preferred to safetensors, and these to whisper.cpp's `ggml-….bin` and PyTorch's `pytorch_model.bin`; among
/// GGUFs a middle quantization
/// (`Q4_K_M`, `Q4_0`, `Q8_0` …). All parts of a split GGUF come together; the others come with their configuration and
/// tokenizer.
///
/// # Errors
/// When nothing fits, several models fit, or a part is missing; the message lists what there is.
pub fn select_files(names: &[String], pattern: Option<&str>) -> Result<Vec<String>> {
    let fail = |message: String| Err(Error::argument("model", message));
    if let Some(pattern) = pattern
        && (is_safetensors(pattern) || is_pytorch(pattern) && !is_ggml(pattern))
    {
        return match names.iter().find(|n| *n == pattern) {
            Some(_) => Ok(with_side_files(names, shards_of(names, pattern))),
            None => fail(format!("no file {pattern:?}; there are: {}", list(names))),
        };
    }
    let mut groups = gguf_groups(names);
    if let Some(pattern) = pattern {
        groups.retain(|g| fits(&g.name, pattern) || g.files.iter().any(|f| fits(f, pattern)));
        // A whole name wins over names that contain it.
        if let Some(exact) = groups.iter().position(|g| g.files.iter().any(|f| f == pattern)) {
            groups = vec![groups.swap_remove(exact)];
        }
        if groups.is_empty() {
            return fail(format!("no model fits {pattern:?}; there are: {}", list(names)));
        }
    } else {
        // Image encoders that lie beside a language model are no model of their own.
        groups.retain(|g| !base(&g.name).starts_with("mmproj"));
        // What was converted for whisper.cpp lies beside what it was made of.
        if names.iter().any(|n| is_safetensors(n)) {
            groups.retain(|g| !is_ggml(&g.name));
        }
    }
    let group = match groups.len() {
        0 => None,
        1 => groups.pop(),
        _ => {
            // Files of whisper.cpp in one place are of different models: a preferred format would choose among those.
            let preferred = if groups.iter().any(|g| is_ggml(&g.name)) { &[][..] } else { &PREFERRED[..] };
            let ranked = preferred.iter().find_map(|quant| {
                let mut fitting = groups.iter().filter(|g| fits(&g.name, quant));
                Some((fitting.next()?, fitting.next().is_none()))
            });
            match ranked {
                Some((group, true)) => {
                    let name = group.name.clone();
                    groups.into_iter().find(|g| g.name == name)
                }
                _ => {
                    let names: Vec<_> = groups.into_iter().map(|g| g.name).collect();
                    return fail(format!("several models fit, name one of: {}", list(&names)));
                }
            }
        }
    };
    if let Some(group) = group {
        if group.files.len() != group.count {
            return fail(format!(
                "{} has {} parts, but only these are there: {}",
                group.name,
                group.count,
                list(&group.files)
            ));
        }
        return Ok(group.files);
    }
    let mut weights: Vec<_> = names.iter().filter(|n| is_safetensors(n) && !n.contains('/')).collect();
    if weights.is_empty() {
        // Other pickles in the root are often no weights (`training_args.bin`, `optimizer.pt`).
        weights = names.iter().filter(|n| is_pytorch(n) && n.starts_with("pytorch_model")).collect();
    }
    let whole = weights.iter().find(|n| ["model.safetensors", "pytorch_model.bin"].contains(&n.as_str()));
    let first = match (whole, weights.as_slice()) {
        (Some(whole), _) => whole,
        (None, [first, rest @ ..]) => {
            let shards = shards_of(names, first);
            if rest.iter().any(|n| !shards.contains(n)) {
                return fail(format!("several models fit, name one of: {}", list(weights.iter().copied())));
            }
            first
        }
        (None, []) => return fail(format!("no GGUF, safetensors or pytorch_model.bin; there are: {}", list(names))),
    };
    Ok(with_side_files(names, shards_of(names, first)))
}

fn is_safetensors(name: &str) -> bool {
    name.ends_with(".safetensors")
}

fn is_pytorch(name: &str) -> bool {
    [".bin", ".pt", ".pth"].iter().any(|ending| name.ends_with(ending))
}

/// whisper.cpp's own files, which hold all that a model needs.
fn is_ggml(name: &str) -> bool {
    base(name).starts_with("ggml-") && name.ends_with(".bin")
}

/// `a-00001-of-00003` → (`a`, 1, 3).
fn split_part(stem: &str) -> Option<(&str, usize, usize)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, number) = rest.rsplit_once('-')?;
    let digits = |s: &str| (s.len() == 5).then(|| s.parse().ok()).flatten();
    Some((name, digits(number)?, digits(count)?))
}

fn gguf_groups(names: &[String]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut sorted: Vec<&String> = names.iter().filter(|n| n.ends_with(".gguf")).collect();
    sorted.sort();
    for file in sorted {
        let stem = file.strip_suffix(".gguf").unwrap_or(file);
        let (name, count) = split_part(stem).map_or((stem, 1), |(name, _, count)| (name, count));
        let name = format!("{name}.gguf");
        match groups.iter_mut().find(|g| g.name == name && g.count == count) {
            Some(group) => group.files.push(file.clone()),
            None => groups.push(Group { name, count, files: vec![file.clone()] }),
        }
    }
    let ggml = names.iter().filter(|n| is_ggml(n));
    groups.extend(ggml.map(|file| Group { name: file.clone(), count: 1, files: vec![file.clone()] }));
    groups
}

/// The shards that belong to the safetensors or PyTorch file `name`, or itself.
fn shards_of(names: &[String], name: &str) -> Vec<String> {
    let ending = if is_safetensors(name) { ".safetensors" } else { ".bin" };
    let part = |n: &str| split_part(n.strip_suffix(ending)?).map(|(s, _, c)| (s.to_string(), c));
    let Some(key) = part(name) else { return vec![name.to_string()] };
    let mut shards: Vec<_> = names.iter().filter(|n| part(n).as_ref() == Some(&key)).cloned().collect();
    shards.sort();
    shards
}

/// Adds the side files that lie in the same folder as the weights.
fn with_side_files(names: &[String], mut weights: Vec<String>) -> Vec<String> {
    let folder = weights.first().and_then(|w| w.rsplit_once('/')).map_or(String::new(), |(f, _)| format!("{f}/"));
    let side = SIDE_FILES.iter().map(|side| format!("{folder}{side}"));
    // An index describes shards; beside a single file it would describe files that are not asked for.
    let sharded = weights.len() > 1;
    let side: Vec<_> = side.filter(|s| names.contains(s) && (sharded || !s.ends_with("index.json"))).collect();
    weights.extend(side);
    weights
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Does `name` fit the pattern: all of it with `*` for anything, or containing it as a word? Case does not matter.
fn fits(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    if pattern.contains('*') {
        return glob(name.as_bytes(), pattern.as_bytes()) || glob(base(&name).as_bytes(), pattern.as_bytes());
    }
    let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    name.match_indices(&pattern).any(|(at, found)| {
        let bytes = name.as_bytes();
        !word(at.checked_sub(1).and_then(|i| bytes.get(i))) && !word(bytes.get(at + found.len()))
    })
}

/// `*` stands for any bytes, `/` included.
fn glob(name: &[u8], pattern: &[u8]) -> bool {
    let (mut n, mut p, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            (n, p) = (n + 1, p + 1);
        } else if let Some((at, from)) = star {
            // The last star takes one byte more.
            star = Some((at, from + 1));
            (n, p) = (from + 1, at + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Names for a message; of many, the first.
fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    const MOST: usize = 20;
    let names: Vec<S> = names.into_iter().collect();
    if names.is_empty() {
        return "nothing".into();
    }
    let mut text = names.iter().take(MOST).map(|n| n.as_ref()).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text += &format!(" and {} more", names.len() - MOST);
    }
    text
}

/// The files of a model on disk, when `spec` is a file, a folder or `folder:pattern`; `None` when there is no such
/// file or folder.
///
/// A part of a split GGUF brings the other parts, a safetensors or PyTorch file its shards and side files.
pub fn local_model(spec: &str) -> Result<Option<Vec<PathBuf>>> {
    let path = Path::new(spec);
    if path.is_dir() {
        return files_of(path, None).map(Some);
    }
    if path.exists() {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let has_siblings = is_safetensors(&name)
            || is_pytorch(&name)
            || name.strip_suffix(".gguf").is_some_and(|s| split_part(s).is_some());
        return if has_siblings { files_of(folder, Some(&name)) } else { Ok(vec![path.into()]) }.map(Some);
    }
    match spec.rsplit_once(':') {
        Some((folder, pattern)) if Path::new(folder).is_dir() => files_of(Path::new(folder), Some(pattern)).map(Some),
        _ => Ok(None),
    }
}

fn files_of(folder: &Path, pattern: Option<&str>) -> Result<Vec<PathBuf>> {
    let io = |source| Error::Io { path: folder.display().to_string(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.path().is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    let chosen = select_files(&names, pattern).map_err(|e| match e {
        Error::Argument { op, message } => Error::argument(op, format!("{}: {message}", folder.display())),
        other => other,
    })?;
    Ok(chosen.into_iter().map(|name| folder.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(names: &[&str], pattern: Option<&str>) -> Result<Vec<String>, String> {
        let names: Vec<_> = names.iter().map(|n| n.to_string()).collect();
        select_files(&names, pattern).map_err(|e| e.to_string())
    }

    #[test]
    fn prefers_a_middle_quantization() {
        let names = ["m-F16.gguf", "m-Q8_0.gguf", "m-q4_k_m.gguf", "m-Q4_K_S.gguf", "model.safetensors", "config.json"];
        assert_eq!(select(&names, None).unwrap(), ["m-q4_k_m.gguf"]);
        assert_eq!(select(&names[..2], None).unwrap(), ["m-Q8_0.gguf"]);
        assert_eq!(select(&names, Some("q8_0")).unwrap(), ["m-Q8_0.gguf"]);
        // A word, not any text: Q4_K is neither Q4_K_M nor Q4_K_S.
        assert!(select(&names, Some("Q4_K")).unwrap_err().contains("no model fits"));
        assert_eq!(select(&names, Some("*f16*")).unwrap(), ["m-F16.gguf"]);
        assert_eq!(select(&names, Some("m-F16.gguf")).unwrap(), ["m-F16.gguf"]);
        assert_eq!(select(&names, Some("model.safetensors")).unwrap(), ["model.safetensors", "config.json"]);
    }

    #[test]
    fn keeps_the_parts_of_a_split_model_together() {
        let parts = ["Q4_K_M/m-Q4_K_M-00002-of-00002.gguf", "Q4_K_M/m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"];
        assert_eq!(select(&parts, None).unwrap(), [parts[1], parts[0]]);
        assert_eq!(select(&parts, Some(parts[0])).unwrap(), [parts[1], parts[0]]);
        let error = select(&parts[..1], None).unwrap_err();
        assert!(error.contains("has 2 parts"), "{error}");
    }

    #[test]
    fn whisper_cpp_files() {
        let many = ["README.md", "ggml-base.bin", "ggml-tiny.en-q5_1.bin", "ggml-tiny.en.bin"];
        assert!(select(&many, None).unwrap_err().contains("several models fit, name one of: ggml-base.bin"));
        assert_eq!(select(&many, Some("ggml-tiny.en.bin")).unwrap(), ["ggml-tiny.en.bin"]);
        assert_eq!(select(&many, Some("q5_1")).unwrap(), ["ggml-tiny.en-q5_1.bin"]);
        assert_eq!(select(&many[..2], None).unwrap(), ["ggml-base.bin"]);
        let distil = ["config.json", "ggml-model.bin", "model.safetensors"];
        assert_eq!(select(&distil, None).unwrap(), ["model.safetensors", "config.json"]);
        assert_eq!(select(&distil, Some("ggml-model.bin")).unwrap(), ["ggml-model.bin"]);
    }

    #[test]
    fn takes_safetensors_with_their_side_files() {
        let names = [
            "README.md",
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tokenizer.json",
        ];
        let expected = [names[2], names[3], "config.json", "tokenizer.json", names[4]];
        assert_eq!(select(&names, None).unwrap(), expected);
        let old = ["config.json", "pytorch_model.bin", "training_args.bin"];
        assert_eq!(select(&old, None).unwrap(), ["pytorch_model.bin", "config.json"]);
        assert!(select(&old[2..], None).unwrap_err().contains("there are: training_args.bin"));
        let (first, second) = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin");
        let shards = [second, first, "pytorch_model.bin.index.json"];
        assert_eq!(select(&shards, None).unwrap(), [first, second, shards[2]]);
        assert_eq!(select(&shards, Some(second)).unwrap(), [first, second, shards[2]]);
        assert!(select(&[], None).unwrap_err().contains("nothing"));
        let several = select(&["a.safetensors", "b.safetensors"], None).unwrap_err();
        assert!(several.contains("a.safetensors, b.safetensors"), "{several}");
    }

    #[test]
    fn says_when_several_models_fit() {
        let error = select(&["a-Q4_0.gguf", "b-Q4_0.gguf", "mmproj-a.gguf"], None).unwrap_err();
        assert!(error.contains("a-Q4_0.gguf, b-Q4_0.gguf"), "{error}");
        assert_eq!(select(&["a-Q4_0.gguf", "mmproj-a.gguf"], None).unwrap(), ["a-Q4_0.gguf"]);
    }

    #[test]
    fn globs() {
        for (name, pattern, fits) in
            [("abc", "a*c", true), ("abc", "*", true), ("abcbc", "a*bc", true), ("abc", "a*b", false), ("", "*", true)]
        {
            assert_eq!(glob(name.as_bytes(), pattern.as_bytes()), fits, "{name} {pattern}");
        }
    }

    #[test]
    fn finds_local_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a-Q4_0-00001-of-00002.gguf", "a-Q4_0-00002-of-00002.gguf", "b-Q8_0.gguf", "config.json"] {
            fs::write(at(name), "x").unwrap();
        }
        let text = |name: &str| at(name).to_string_lossy().into_owned();
        let both = vec![at("a-Q4_0-00001-of-00002.gguf"), at("a-Q4_0-00002-of-00002.gguf")];
        assert_eq!(local_model(&text("a-Q4_0-00002-of-00002.gguf")).unwrap().unwrap(), both);
        assert_eq!(local_model(&folder.path().to_string_lossy()).unwrap().unwrap(), both);
        assert_eq!(local_model(&(text("") + ":Q8_0")).unwrap().unwrap(), [at("b-Q8_0.gguf")]);
        assert_eq!(local_model(&text("b-Q8_0.gguf")).unwrap().unwrap(), [at("b-Q8_0.gguf")]);
        assert_eq!(local_model("owner/name:Q8_0").unwrap(), None);
    }
}
