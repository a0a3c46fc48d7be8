//! Tools of NuGet, by the user's own .NET SDK: a tool is one file with all it needs, which is hashed where `dotnet` has
//! put it. Nothing of a tool runs while it is installed.

use super::folder::Draft;
use super::{Installer, process::Step};
use crate::error::{Error, Result, codes};
use crate::packages::{Reference, Resolved, nuget};
use crate::paths::io_error;
use std::fs;

fn step(reference: &Reference) -> Step {
    let step = Step { args: nuget::install(reference), ..Step::new("dotnet", &[]) };
    let quiet = ["DOTNET_CLI_TELEMETRY_OPTOUT", "DOTNET_NOLOGO", "DOTNET_SKIP_FIRST_TIME_EXPERIENCE"];
    quiet.iter().fold(step, |step, name| step.with(name, "1")).with("DOTNET_CLI_UI_LANGUAGE", "en")
}

/// Installs a tool into the folder and says what it is.
fn bring(installer: &Installer<'_>, draft: &Draft, reference: &Reference) -> Result<Resolved> {
    installer.runner.run(draft.path(), &step(reference))?;
    let id = reference.name.to_ascii_lowercase();
    let store = draft.path().join("bin/.store").join(&id);
    let entries = fs::read_dir(&store).map_err(|error| io_error("read", &store, &error))?;
    let versions: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let [version] = versions.as_slice() else {
        let message = format!("`dotnet` has not put one version of `{reference}` where its tools lie");
        return Err(Error::new(&codes::PACKAGE_INVALID, message));
    };
    let file = store.join(version).join(&id).join(version).join(format!("{id}.{version}.nupkg"));
    let bytes = fs::read(&file).map_err(|error| io_error("read", &file, &error))?;
    Ok(nuget::resolved(reference, version, &bytes))
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    bring(installer, &Draft::new(&installer.root)?, reference)
}

pub fn fill(installer: &Installer<'_>, draft: &Draft, reference: &Reference, pins: &str) -> Result<()> {
    let (version, digest) = nuget::read(reference, pins)?;
    let found = bring(installer, draft, &reference.at(&version))?;
    match found.digest == digest && found.version == version {
        true => Ok(()),
        false => {
            let message = format!("`{reference}` {version} is another file than the one wanted");
            Err(Error::new(&codes::PACKAGE_INVALID, message).because(found.digest))
        }
    }
}
