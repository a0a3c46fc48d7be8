//! What texts mean, as vectors that somebody else made: kept beside the memories, int8 with one scale, and compared
//! exactly. Nothing here makes a vector, and nothing fails for want of one: a memory without is found by its words.

use super::model::Memory;
use super::row_key;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
use serde::{Deserialize, Serialize};

const VECTORS: Table<Kept> = Table::new(tables::MEMORY_VECTORS);
/// Longest vector that is kept.
const MOST_VALUES: usize = 4_096;

/// A direction of meaning: `values` times `scale`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vector {
    pub scale: f32,
    pub values: Vec<i8>,
}

/// A vector with the model that made it; those of different models cannot be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub model: String,
    pub vector: Vector,
}

impl Row for Kept {
    const KIND: u8 = 102;
    const VERSION: u16 = 1;
}

/// A vector for a memory as it was read at `updated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    pub number: u32,
    pub updated: Timestamp,
    pub kept: Kept,
}

impl Vector {
    /// Reads a row of four bytes of scale, little endian, and one byte a number.
    pub fn from_row(row: &[u8]) -> Self {
        let (scale, values) = row.split_at_checked(4).unwrap_or_default();
        let scale = scale.try_into().map_or(0.0, f32::from_le_bytes);
        Self { scale, values: values.iter().map(|byte| byte.cast_signed()).collect() }
    }

    /// How alike two directions are, from -1 to 1; 0 for vectors of different lengths.
    pub fn dot(&self, other: &Self) -> f32 {
        if self.values.len() != other.values.len() {
            return 0.0;
        }
        let sum: i32 =
            self.values.iter().zip(&other.values).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        sum as f32 * self.scale * other.scale
    }
}

/// Whether there is any.
pub fn any(tx: &Reader) -> Result<bool> {
    Ok(tx.count(&VECTORS)? > 0)
}

pub fn remove(tx: &mut Writer, number: u32) -> Result<()> {
    tx.remove(&VECTORS, &row_key(number)).map(drop)
}

/// Keeps vectors for memories that have not changed meanwhile; how many.
pub fn put(tx: &mut Writer, made: Vec<Made>) -> Result<u64> {
    let mut kept = 0;
    for Made { number, updated, kept: vector } in made {
        let good = vector.vector.scale.is_finite() && (1..=MOST_VALUES).contains(&vector.vector.values.len());
        if !good {
            return Err(Error::new(
                &codes::VALUE_INVALID,
                "a vector has 1 to 4096 values and a finite scale",
            ));
        }
        let current = super::select::by_number(tx, Some(number))?;
        if current.is_some_and(|memory| memory.updated == updated && memory.superseded_by.is_none()) {
            tx.put(&VECTORS, &row_key(number), &vector)?;
            kept += 1;
        }
    }
    Ok(kept)
}

/// Throws away all vectors, damaged or not; how many.
pub fn clear(tx: &mut Writer) -> Result<u64> {
    tx.clear(&VECTORS)
}

/// Shows `visit` every whole vector of `model` with its number.
pub fn each(tx: &Reader, model: &str, mut visit: impl FnMut(u32, &Vector)) -> Result<()> {
    tx.scan(&VECTORS, "", |key, kept| {
        if let (Ok(number), Ok(kept)) = (u32::from_str_radix(key, 16), kept)
            && kept.model == model
        {
            visit(number, &kept.vector);
        }
        Ok(true)
    })
}

/// The vector of one memory, where there is a whole one.
pub fn of(tx: &Reader, number: u32) -> Result<Option<Kept>> {
    match tx.get(&VECTORS, &row_key(number)) {
        Err(error) if error.is(&codes::STORE_DAMAGED) => Ok(None),
        kept => kept,
    }
}

/// Memories that count and have no vector of `model`, at most `limit` of them, above the number `after`.
pub fn pending(tx: &Reader, model: &str, after: u32, limit: usize, now: Timestamp) -> Result<Vec<Memory>> {
    let mut found = Vec::new();
    tx.scan(&super::MEMORIES, "", |_, memory: Result<Memory>| {
        let Ok(memory) = memory else { return Ok(true) };
        let wanted = memory.number > after && memory.is_current(now);
        if wanted && of(tx, memory.number)?.is_none_or(|kept| kept.model != model) {
            found.push(memory);
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// Whole vectors, damaged ones, and those of no memory.
pub fn look_over(tx: &Reader) -> Result<(u64, u64, u64)> {
    let (mut whole, mut bad, mut orphans) = (0, 0, 0);
    tx.scan(&VECTORS, "", |key, kept: Result<Kept>| {
        match kept {
            Ok(_) => whole += 1,
            Err(_) => bad += 1,
        }
        orphans += u64::from(!tx.contains(&super::MEMORIES, key)?);
        Ok(true)
    })?;
    Ok((whole, bad, orphans))
}

/// Throws away vectors that are damaged or of no memory, so that they are made again; how many.
pub fn tidy(tx: &mut Writer) -> Result<u64> {
    let mut gone = Vec::new();
    tx.scan(&VECTORS, "", |key, kept: Result<Kept>| {
        if kept.is_err() || !tx.contains(&super::MEMORIES, key)? {
            gone.push(key.to_string());
        }
        Ok(true)
    })?;
    for key in &gone {
        tx.remove(&VECTORS, key)?;
    }
    Ok(gone.len() as u64)
}
