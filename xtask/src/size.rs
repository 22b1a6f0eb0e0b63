//! What takes the space in a WebAssembly module: its sections, and its code by crate, from the name section.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};

/// A table of the sections of `module` and of its functions' code by crate, largest first.
pub fn report(module: &[u8]) -> Result<String> {
    if !module.starts_with(b"\0asm\x01\0\0\0") {
        bail!("not a WebAssembly module");
    }
    let mut sections = Vec::new();
    let mut bodies = Vec::new();
    let mut names = BTreeMap::new();
    let mut imported = 0;
    let mut reader = Reader(&module[8..]);
    while !reader.0.is_empty() {
        let id = reader.byte()?;
        let length = reader.number()?;
        let mut content = Reader(reader.take(length)?);
        let size = content.0.len();
        let mut label = SECTIONS.get(id as usize).copied().unwrap_or("unknown").to_owned();
        match id {
            0 => {
                let name = content.name()?;
                if name == "name" {
                    names = function_names(content)?;
                }
                label = format!("custom \"{name}\"");
            }
            2 => imported = imported_functions(content)?,
            10 => {
                for _ in 0..content.number()? {
                    let length = content.number()?;
                    bodies.push(content.take(length)?.len());
                }
            }
            _ => {}
        }
        sections.push((label, size));
    }
    if names.is_empty() {
        bail!("the module has no name section, so its functions cannot be told apart");
    }
    let mut crates: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (index, size) in bodies.iter().enumerate() {
        let name = names.get(&(imported + index)).map_or("?", String::as_str);
        let entry = crates.entry(crate_of(name)).or_default();
        *entry = (entry.0 + size, entry.1 + 1);
    }
    let total: usize = bodies.iter().sum();
    let mut text = String::from("\nSections (before wasm-opt)\n");
    for (label, size) in &sections {
        writeln!(text, "{size:>10}  {label}")?;
    }
    writeln!(text, "\nCode by crate (generic code counts for the crate that defines it)")?;
    writeln!(text, "     bytes      %  functions  crate")?;
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, (size, _))| std::cmp::Reverse(*size));
    for (name, (size, count)) in crates {
        writeln!(text, "{size:>10}  {:>4.1}%  {count:>9}  {name}", 100.0 * size as f64 / total.max(1) as f64)?;
    }
    Ok(text)
}

const SECTIONS: [&str; 13] = [
    "custom",
    "types",
    "imports",
    "functions",
    "tables",
    "memory",
    "globals",
    "exports",
    "start",
    "elements",
    "code",
    "data",
    "data count",
];

/// The crate that a demangled Rust name belongs to; for `<T as Trait>::method` the crate of `T`.
fn crate_of(name: &str) -> String {
    let name = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let name = ["mut ", "const ", "dyn "].iter().fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
    let is_path = name[end..].starts_with("::") || name[end..].starts_with('[');
    if is_path && end > 0 {
        name[..end].to_owned()
    } else {
        "(runtime: allocator, compiler builtins, exports)".to_owned()
    }
}

/// The function names of a name section, by function index.
fn function_names(mut section: Reader) -> Result<BTreeMap<usize, String>> {
    let mut names = BTreeMap::new();
    while !section.0.is_empty() {
        let kind = section.byte()?;
        let length = section.number()?;
        let mut content = Reader(section.take(length)?);
        if kind == 1 {
            for _ in 0..content.number()? {
                let index = content.number()?;
                names.insert(index, content.name()?.to_owned());
            }
        }
    }
    Ok(names)
}

/// How many functions an import section imports: function indices count them first.
fn imported_functions(mut section: Reader) -> Result<usize> {
    let mut functions = 0;
    for _ in 0..section.number()? {
        section.name()?;
        section.name()?;
        match section.byte()? {
            0 => {
                section.number()?;
                functions += 1;
            }
            1 => {
                section.byte()?;
                section.limits()?;
            }
            2 => section.limits()?,
            3 => {
                section.byte()?;
                section.byte()?;
            }
            other => bail!("the module imports something of the unknown kind {other}"),
        }
    }
    Ok(functions)
}

/// Reads the pieces of a module's binary form.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("the module ends in the middle of something")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An unsigned LEB128 number.
    fn number(&mut self) -> Result<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a number in the module has more than five bytes")
    }

    fn name(&mut self) -> Result<&'a str> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).context("a name in the module is not UTF-8")
    }

    fn limits(&mut self) -> Result<()> {
        let has_maximum = self.byte()? & 1 != 0;
        self.number()?;
        if has_maximum {
            self.number()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_crates() {
        assert_eq!(crate_of("votive::op::infer"), "votive");
        assert_eq!(crate_of("<tokenizers::Foo as core::fmt::Debug>::fmt"), "tokenizers");
        assert_eq!(crate_of("<&mut serde_json::X as core::fmt::Debug>::fmt"), "serde_json");
        assert_eq!(crate_of("core[8f1]::fmt::write"), "core");
        assert!(crate_of("dlmalloc").starts_with('('));
    }

    /// A module written by hand from the specification: one imported function, one function of three bytes.
    #[test]
    fn a_module_is_taken_apart() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend(b"\x02\x07\x01\x01a\x01f\x00\x00"); // imports: a.f, a function of type 0
        module.extend(b"\x0a\x05\x01\x03\x00\x01\x0b"); // code: one body, `nop end` without locals
        module.extend(b"\x00\x10\x04name\x01\x09\x01\x01\x06my::fn"); // names: function 1 is my::fn
        let text = report(&module).unwrap();
        assert!(text.contains("         3  100.0%          1  my"), "{text}");
        assert!(report(&module[..module.len() - 2]).is_err());
    }
}
