//! Programs in Go, by the user's own `go`: resolved into a module of their own with digests first, then built from it.

use super::folder::Draft;
use super::{Installer, process::Step};
use crate::error::Result;
use crate::packages::{Reference, Resolved, go};

fn step(words: Vec<String>) -> Step {
    // A workspace above the folder would change what is meant.
    Step { args: words, ..Step::new("go", &[]) }.with("GOWORK", "off")
}

pub fn resolve(installer: &Installer<'_>, reference: &Reference) -> Result<Resolved> {
    let draft = Draft::new(&installer.root)?;
    draft.write("go.mod", go::EMPTY)?;
    let wanted = format!("{}@{}", reference.name, reference.version.as_deref().unwrap_or("latest"));
    installer.runner.run(draft.path(), &step(vec!["get".into(), "--".into(), wanted]))?;
    let listed = installer.runner.run(draft.path(), &step(go::list(&reference.name)))?;
    go::resolved(reference, &listed, &draft.read("go.mod")?, &draft.read("go.sum").unwrap_or_default())
}

/// Builds from these pins: `go` refuses a module whose digest is another one.
pub fn fill(installer: &Installer<'_>, draft: &Draft, reference: &Reference, pins: &str) -> Result<()> {
    let (manifest, sums) = go::files(pins)?;
    draft.write("go.mod", &manifest)?;
    draft.write("go.sum", &sums)?;
    // With the keys that private modules need; what is compiled from them gets none.
    installer.runner.run(draft.path(), &step(go::fetch(&reference.name)))?;
    let step = step(go::install(&reference.name)).with("GOBIN", draft.path().join("bin").to_string_lossy());
    installer.runner.run(draft.path(), &Step { foreign: true, ..step }).map(drop)
}
