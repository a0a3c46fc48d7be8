//! The format of the whole store: which number it has, and the steps from older ones to ours.
//! Single rows upgrade themselves (`codec::Row::upgrade`); here stand changes of tables and keys.
//! Rule: a step is never edited after its release; all pending steps run in one transaction, after a backup copy.

use super::access::{Reader, Writer};
use super::codec::Row;
use super::tables::{self, Table};
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};

/// The format this program writes.
pub const FORMAT: u32 = 1;

/// Brings a store from format `from` to `from + 1`.
pub struct Step {
    pub from: u32,
    pub run: fn(&mut Writer) -> Result<()>,
}

/// All steps, oldest first. Format 1 is the first.
pub const STEPS: &[Step] = &[];

const META: Table<Format> = Table::new(tables::META);
const KEY: &str = "format";

/// The row every version of the program must be able to read: fields are only ever appended,
/// `VERSION` stays 1 (postcard skips what an older reader does not know).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub format: u32,
    /// Program version that wrote the format.
    pub product: String,
    /// Id of this store, kept for ever.
    pub id: String,
    pub created: Timestamp,
}

impl Row for Format {
    const KIND: u8 = 1;
    const VERSION: u16 = 1;
}

/// The row of a new store.
pub fn fresh(format: u32, id: String, now: Timestamp) -> Format {
    Format { format, product: env!("CARGO_PKG_VERSION").into(), id, created: now }
}

/// Reads the format row; `None` when the file is no store of ours.
pub fn read(reader: &Reader) -> Result<Option<Format>> {
    reader.get(&META, KEY)
}

pub fn write(writer: &mut Writer, format: &Format) -> Result<()> {
    writer.put(&META, KEY, format)
}

/// Refuses a store of a newer program.
pub fn accept(place: &str, found: &Format, ours: u32) -> Result<()> {
    if found.format <= ours {
        return Ok(());
    }
    let message = format!(
        "the store `{place}` has format {}, written by umcp {}; this is umcp {} and knows format {ours}",
        found.format,
        found.product,
        env!("CARGO_PKG_VERSION"),
    );
    Err(Error::new(&codes::STORE_NEWER, message).hint("update umcp, then try again"))
}

/// Runs every pending step and writes the new number.
pub fn run(writer: &mut Writer, found: &Format, ours: u32, steps: &[Step]) -> Result<()> {
    for from in found.format..ours {
        let step = steps.iter().find(|step| step.from == from);
        let step = step.ok_or_else(|| Error::bug(format!("there is no step from store format {from}")))?;
        (step.run)(writer)?;
    }
    let product = env!("CARGO_PKG_VERSION").into();
    write(writer, &Format { format: ours, product, ..found.clone() })
}
