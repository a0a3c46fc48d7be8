//! The noun `package`: what was installed from a package manager, bundle or repository, at which version.
//! It decides and remembers; what runs the managers' programs is `setup::packages`.

pub mod cargo;
pub mod composer;
pub mod failure;
pub mod gem;
pub mod go;
pub mod lock;
pub mod mcpb;
pub mod model;
pub mod npm;
pub mod nuget;
pub mod oci;
pub mod program;
pub mod pypi;
pub mod recipe;
pub mod reference;

use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
pub use model::{Installed, Package, Resolved, Run};
pub use reference::{Manager, Reference};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keyed by server id.
const PACKAGES: Table<Package> = Table::new(tables::PACKAGES);

impl Row for Package {
    const KIND: u8 = 64;
    const VERSION: u16 = 1;
}

/// What can be asked about packages. They are written together with their servers: `StoreRequest::Package`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    List,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// By server id.
    Packages(BTreeMap<String, Package>),
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::List => Ok(Reply::Packages(tx.all(&PACKAGES)?.into_iter().collect())),
    }
}

/// Writes what the server of that id runs.
pub fn put(tx: &mut Writer, server: &str, package: &Package) -> Result<()> {
    if package.current().is_none() {
        return Err(Error::bug("a package without a version"));
    }
    tx.put(&PACKAGES, server, package)
}

/// Forgets the package of a server that is gone; one that has none is no error.
pub fn forget(tx: &mut Writer, server: &str) -> Result<()> {
    tx.remove(&PACKAGES, server).map(drop)
}

/// Refuses pins that are not those of this version with this digest.
pub fn check(reference: &Reference, version: &str, digest: &str, pins: &str) -> Result<()> {
    let is_same = match reference.manager {
        Manager::Npm => {
            let found = npm::resolved(reference, pins)?;
            found.version == version && found.digest == digest
        }
        Manager::Pypi => pypi::holds(reference, version, digest, pins),
        Manager::Mcpb => pins.trim_end() == digest,
        Manager::Cargo => {
            let checksum = digest.strip_prefix("sha256:").unwrap_or_default();
            pins.ends_with(&format!(" {version} {checksum}\n"))
        }
        Manager::Github | Manager::Git => {
            let (commit, _) = recipe::read_pins(pins)?;
            digest == format!("git:{commit}") && commit.starts_with(version)
        }
        Manager::Go => go::holds(reference, version, digest, pins),
        Manager::Gem => gem::holds(reference, version, digest, pins),
        Manager::Composer => {
            let found = composer::resolved(reference, pins)?;
            found.version == version && found.digest == digest
        }
        Manager::Nuget => nuget::read(reference, pins)? == (version.into(), digest.into()),
        Manager::Oci => oci::read(reference, pins)?.ends_with(&format!("@{digest}")),
    };
    match is_same {
        true => Ok(()),
        false => {
            let message = format!("the pins of `{reference}` are of another version than {version}");
            Err(Error::new(&codes::LOCK_INVALID, message).hint("umcp lock verify"))
        }
    }
}

/// "No package named …", with the nearest name as hint.
pub fn not_found<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let error = Error::new(&codes::PACKAGE_NOT_FOUND, format!("no package is installed as `{name}`"));
    match crate::documents::near(name, known) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp lock show"),
    }
}
