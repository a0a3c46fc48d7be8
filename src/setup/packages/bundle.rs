//! Bundles (.mcpb): a file or an address, unpacked by umcp itself. No manager and no program of the bundle takes part.

use super::Installer;
use super::folder::Draft;
use crate::archive;
use crate::error::{Error, Result, codes};
use crate::packages::mcpb::{self, Answers, Manifest, Start};
use crate::packages::{Reference, Resolved};
use crate::paths::io_error;
use crate::policy::address::leads_here;
use std::fs;
use std::path::Path;

/// This system as Node calls it, which manifests follow.
const PLATFORM: &str = if cfg!(windows) {
    "win32"
} else if cfg!(target_os = "macos") {
    "darwin"
} else {
    "linux"
};

/// The bytes of a bundle; of the digest that was given, where one was.
fn load(installer: &Installer<'_>, reference: &Reference) -> Result<Vec<u8>> {
    let is_address = reference.name.contains("://");
    if reference.name.starts_with("http://") && reference.sha256.is_none() && !leads_here(&reference.name) {
        let message = format!("`{reference}` would come over an open line that anybody can write to");
        return Err(Error::new(&codes::PACKAGE_INVALID, message)
            .hint("use https://, or say which file it has to be: mcpb:URL#sha256=DIGEST"));
    }
    let bytes = match is_address {
        true => {
            let draft = Draft::new(&installer.root)?;
            let to = draft.path().join("bundle.mcpb");
            (installer.runner.download)(&reference.name, &to)?;
            read(&to)?
        }
        false => read(Path::new(&reference.name))?,
    };
    let digest = crate::ids::digest(&bytes);
    match &reference.sha256 {
        Some(wanted) if *wanted != digest => {
            let message = format!("`{}` is another file: its SHA-256 is {digest}", reference.name);
            Err(Error::new(&codes::PACKAGE_INVALID, message).hint("nothing was installed"))
        }
        _ => Ok(bytes),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).map_err(|error| io_error("read", path, &error))?.len();
    if size > archive::MAX_ARCHIVE {
        let message = format!("`{}` is larger than {} MiB", path.display(), archive::MAX_ARCHIVE >> 20);
        return Err(Error::new(&codes::FILE_TOO_LARGE, message));
    }
    fs::read(path).map_err(|error| io_error("read", path, &error))
}

/// The manifest of an archive, whose entries are checked on the way.
fn manifest_of(bytes: &[u8]) -> Result<Manifest> {
    let entries = archive::entries(bytes)?;
    let found = entries.iter().find(|entry| entry.path == "manifest.json");
    let Some(entry) = found.filter(|entry| entry.size <= mcpb::MAX_MANIFEST) else {
        return Err(Error::new(
            &codes::PACKAGE_INVALID,
            "the archive holds no manifest.json, so it is no bundle",
        ));
    };
    let text = String::from_utf8(entry.read(bytes)?).map_err(|error| {
        Error::new(&codes::PACKAGE_INVALID, "the manifest.json of the bundle is not UTF-8").because(error)
    })?;
    mcpb::read(&text, PLATFORM)
}

pub fn manifest(installer: &Installer<'_>, reference: &Reference) -> Result<Manifest> {
    manifest_of(&load(installer, reference)?)
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let bytes = load(installer, reference)?;
    let manifest = manifest_of(&bytes)?;
    let digest = format!("sha256:{}", crate::ids::digest(&bytes));
    let pins = format!("{digest}\n");
    Ok(Resolved {
        version: manifest.version,
        digest,
        pins,
        dependencies: 0,
        scripted: Vec::new(),
        recipe: Vec::new(),
        published: None,
    })
}

/// Unpacks the bundle of exactly this digest.
pub fn fill(installer: &Installer<'_>, draft: &Draft, reference: &Reference, digest: &str) -> Result<()> {
    let bytes = load(installer, reference)?;
    if format!("sha256:{}", crate::ids::digest(&bytes)) != digest {
        let message = format!("`{}` is another file than the one wanted", reference.name);
        return Err(Error::new(&codes::PACKAGE_INVALID, message).because(format!("wanted is {digest}")));
    }
    let root = draft.path().join(mcpb::FILES);
    for entry in archive::entries(&bytes)? {
        if (installer.runner.interrupted)() {
            return Err(Error::new(&codes::INTERRUPTED, "interrupted"));
        }
        let path = root.join(&entry.path);
        let folder = path.parent().unwrap_or(&root);
        crate::paths::create_private_dir(folder)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if entry.executable { 0o755 } else { 0o644 });
        let written = options.open(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &entry.read(&bytes).map_err(std::io::Error::other)?)
        });
        written.map_err(|error| io_error("write", &path, &error))?;
    }
    Ok(())
}

/// How an unpacked bundle is started with what its user said.
pub fn start(installer: &Installer<'_>, folder: &Path, answers: &Answers) -> Result<Start> {
    let path = folder.join(mcpb::FILES).join("manifest.json");
    let text = fs::read_to_string(&path).map_err(|error| io_error("read", &path, &error))?;
    let manifest = mcpb::read(&text, PLATFORM)?;
    let (complete, missing) = manifest.complete(answers);
    if let [first, ..] = missing.as_slice() {
        let message =
            format!("the bundle {} {} wants to know {}", manifest.name, manifest.version, missing.join(", "));
        let error = Error::new(&codes::PACKAGE_INVALID, message);
        return Err(error.hint(format!("install it again with: --replace --set {first}=VALUE")));
    }
    let home = installer.runner.paths.home.clone();
    let known = |name: &str| {
        let below = |folder: &str| Some(home.join(folder).to_string_lossy().into_owned());
        match name {
            "HOME" => Some(home.to_string_lossy().into_owned()),
            "DESKTOP" => below("Desktop"),
            "DOCUMENTS" => below("Documents"),
            "DOWNLOADS" => below("Downloads"),
            _ => None,
        }
    };
    let mut start = manifest.start(PLATFORM, &complete, &known);
    // Many manifests say `python`, and many systems have only the other name.
    if start.run.command == "python" && !installer.runner.has("python") && installer.runner.has("python3") {
        start.run.command = "python3".into();
    }
    Ok(start)
}
