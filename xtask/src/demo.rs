//! `cargo xtask demo`: the demo pages, in a browser.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::models::{MODELS, Model};
use crate::process::{note, step};
use crate::server::{self, Site};
use crate::workspace::{Workspace, models_dir};
use crate::{fetch, package, system};

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Args {
    /// The port to listen on (a free one when it is taken)
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
    /// Serve with the headers that make pages cross-origin isolated (COOP and COEP)
    #[arg(long)]
    isolated: bool,
}

/// Runs `cargo xtask demo`.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    package::build(workspace)?;
    fetch::fetch(false)?;
    let site = site(workspace, args.isolated)?;
    let listener = server::listen(args.port)?;
    let url = format!("http://{}/", listener.local_addr()?);
    step(format!("The demo is at {url} (stop with Ctrl+C)"));
    if !args.no_open {
        open(&url);
    }
    server::serve(&listener, site)
}

/// The demo's pages at `/`, the built package at `/votive/`, models at `/models/` and their list at `/models/models.json`.
fn site(workspace: &Workspace, isolated: bool) -> Result<Site> {
    let models = models_dir()?;
    let offered = |model: &&Model| !model.tests_only && models.join(model.id).join(model.file).is_file();
    let list: Vec<_> = MODELS.iter().filter(offered).map(entry).collect();
    let list = serde_json::to_string_pretty(&list)?;
    Ok(Site {
        directories: vec![
            ("/votive/".into(), workspace.package().join("dist")),
            ("/models/".into(), models),
            ("/".into(), workspace.root.join("www")),
        ],
        documents: vec![("/models/models.json".into(), list)],
        isolated,
    })
}

/// A model in the list that the pages read.
fn entry(model: &Model) -> serde_json::Value {
    serde_json::json!({
        "id": model.id,
        "name": model.name,
        "url": format!("/models/{}/{}", model.id, model.file),
        "bytes": model.bytes,
        "licence": model.licence,
    })
}

/// Opens the URL in the user's browser, where there is one to open it in.
fn open(url: &str) {
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    let (program, arguments): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("cmd", &["/C", "start", ""])
    } else if has_display && system::on_path("xdg-open").is_some() {
        ("xdg-open", &[])
    } else {
        return note("open it in a browser");
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.spawn().is_err() {
        note(format!("could not start {}; open the address in a browser", Path::new(program).display()));
    }
}
