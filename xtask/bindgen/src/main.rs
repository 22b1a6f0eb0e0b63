//! `xtask-bindgen INPUT.wasm OUT_DIR NAME`: writes the JavaScript and TypeScript glue of a wasm module (ES module,
//! `web` target) as `OUT_DIR/NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`.
//!
//! A package of its own because wasm-bindgen's code generator is most of what a fresh machine would compile for
//! `cargo xtask`, and only `build` needs it.

use anyhow::{Context, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, out_dir, name] = arguments.as_slice() else {
        bail!("usage: xtask-bindgen INPUT.wasm OUT_DIR NAME [got {} arguments]", arguments.len());
    };
    let keep_names = std::env::var_os("XTASK_BINDGEN_KEEP_NAMES").is_some();
    Bindgen::new()
        .input_path(input)
        .out_name(name)
        .web(true)?
        .typescript(true)
        .omit_default_module_path(false)
        .remove_producers_section(true)
        .remove_name_section(!keep_names)
        .generate(out_dir)
        .with_context(|| format!("wasm-bindgen could not process {input}"))
}
