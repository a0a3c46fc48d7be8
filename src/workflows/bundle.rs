//! A workflow and those it runs as one zip archive, each a file, those that are run first. Pure. Stored and not
//! compressed: documents are small, and what writes no compression has none to get wrong.

use super::Definition;
use super::model::{Action, Step};
use super::read;
use crate::error::{Error, Result};

/// A workflow and all it runs, in the order in which they can be stored again. `find` gives a document by its name.
pub fn gather(name: &str, find: &mut dyn FnMut(&str) -> Result<Definition>) -> Result<Vec<Definition>> {
    let mut order: Vec<Definition> = Vec::new();
    visit(name, find, &mut order, &mut Vec::new())?;
    Ok(order)
}

fn visit(
    name: &str,
    find: &mut dyn FnMut(&str) -> Result<Definition>,
    order: &mut Vec<Definition>,
    open: &mut Vec<String>,
) -> Result<()> {
    // Workflows may run each other; each is there once.
    if open.iter().any(|one| one == name) || order.iter().any(|one| one.name == name) {
        return Ok(());
    }
    open.push(name.into());
    let definition = find(name)?;
    let workflow =
        read::read(&definition.file, &definition.text).map_err(|mut errors| errors.swap_remove(0))?;
    let mut names = Vec::new();
    workflow.steps.iter().chain(&workflow.finally).for_each(|step| runs(step, &mut names));
    for name in names {
        visit(&name, find, order, open)?;
    }
    order.push(definition);
    Ok(())
}

fn runs(step: &Step, names: &mut Vec<String>) {
    if let Action::Workflow { name, .. } = &step.action {
        names.push(name.clone());
    }
    let inner = step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
    inner.flatten().for_each(|step| runs(step, names));
}

/// The archive of these files.
pub fn zip(files: &[(String, &[u8])]) -> Result<Vec<u8>> {
    let small = |size: usize| {
        u32::try_from(size).map_err(|error| Error::bug("an archive above 4 GiB").because(error))
    };
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let at = small(archive.len())?;
        let length = u16::try_from(name.len()).map_err(|error| Error::bug("a long name").because(error))?;
        // Version 2.0, names in UTF-8, stored, the first day that the format knows.
        let mut head = Vec::new();
        for part in [20_u16, 0x0800, 0, 0, 0x0021] {
            head.extend(part.to_le_bytes());
        }
        for part in [crc32fast::hash(bytes), small(bytes.len())?, small(bytes.len())?] {
            head.extend(part.to_le_bytes());
        }
        head.extend(length.to_le_bytes());
        head.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&head);
        archive.extend(name.as_bytes());
        archive.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (count, at, size) = (files.len(), small(archive.len())?, small(directory.len())?);
    let count = u16::try_from(count).map_err(|error| Error::bug("too many files").because(error))?;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(size.to_le_bytes());
    archive.extend(at.to_le_bytes());
    archive.extend([0, 0]);
    Ok(archive)
}
