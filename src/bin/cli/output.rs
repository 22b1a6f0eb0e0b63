//! Standard output for results, standard error for everything else.

use std::io::{self, IsTerminal, Write};
use votive::{Error, Result};

/// Name of standard output in errors; [`super::main`] knows a closed pipe by it.
pub const STDOUT: &str = "standard output";

/// Writes a piece of the result and flushes, so that streamed text is seen at once.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|source| Error::Io { path: STDOUT.into(), source })
}

/// Writes a JSON value on one line, or indented for a person's eyes.
pub fn print_json(value: &serde_json::Value) -> Result<()> {
    let text = if io::stdout().is_terminal() { format!("{value:#}\n") } else { format!("{value}\n") };
    print(&text)
}

/// A progress bar over bytes on standard error; silent when that is no terminal.
pub fn byte_bar(total: u64, what: &str) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {msg}");
    let bar = indicatif::ProgressBar::new(total).with_prefix(what.to_owned());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A size for people: `98.4 MB` (powers of 1000, as disks and downloads are sold).
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
