//! Copies of the whole store: a consistent one of a living store, and the raw one before a migration.
//! A copy appears under its name only when it is complete and synced.

use super::codec;
use super::db::{self, Core};
use super::failure::{call, from_io};
use super::lock::sync_folder;
use super::opening;
use super::tables;
use super::view::ALL;
use crate::error::{Error, Result, codes};
use crate::{ids, paths};
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Copies every record of one consistent state to the new file `to`.
pub fn copy(core: &Core, to: &Path) -> Result<()> {
    if to.exists() {
        let message = format!("`{}` exists already", to.display());
        return Err(Error::new(&codes::BACKUP_EXISTS, message));
    }
    let place = to.display().to_string();
    appear(&place, to, |file| {
        let below = call(&place, || FileBackend::new(file))?;
        let mut database = call(&place, || opening::builder().create_with_backend(below))?;
        core.read(|reader| {
            db::write(&place, &database, |writer| {
                for table in tables::ALL {
                    let mut target = writer.view(table.name)?;
                    reader.view(table.name)?.walk(ALL, false, |key, bytes| {
                        codec::verify(key, bytes).ok_or_else(|| codec::damaged(table.name, key))?;
                        target.insert(key, bytes)?;
                        Ok(true)
                    })?;
                }
                writer.changed = true;
                Ok(())
            })
        })?;
        call(&place, || database.compact()).map(drop)
    })
}

/// Copies the bytes of an older store beside it, as `store.redb.bak-<format>`, before its migration.
pub fn before_migration(store: &Path, below: &dyn StorageBackend, format: u32) -> Result<()> {
    let mut name = store.as_os_str().to_owned();
    name.push(format!(".bak-{format}"));
    let to = PathBuf::from(name);
    let place = to.display().to_string();
    appear(&place, &to, |mut file| copy_bytes(below, &mut file).map_err(|error| from_io(&place, &error)))
}

fn copy_bytes(below: &dyn StorageBackend, file: &mut File) -> io::Result<()> {
    let (length, mut offset) = (below.len()?, 0);
    let mut block = vec![0; 1 << 20];
    while offset < length {
        let size = usize::try_from(length - offset).map_or(block.len(), |rest| rest.min(block.len()));
        below.read(offset, &mut block[..size])?;
        file.write_all(&block[..size])?;
        offset += size as u64;
    }
    file.sync_all()
}

/// Fills an owner-only file aside and renames it into place.
fn appear(place: &str, to: &Path, fill: impl FnOnce(File) -> Result<()>) -> Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let aside = to.with_extension(ids::fresh("new"));
    let file = paths::private_options().read(true).write(true).create_new(true).open(&aside);
    let filled = file.map_err(|error| from_io(place, &error)).and_then(fill).and_then(|()| {
        fs::rename(&aside, to).and_then(|()| sync_folder(folder)).map_err(|error| from_io(place, &error))
    });
    if filled.is_err() {
        let _ = fs::remove_file(&aside);
    }
    filled
}
