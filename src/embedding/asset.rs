//! The model's file, as `assets/embedding/make.py` writes it: shapes, then sections, each at a multiple of 64 bytes.
//! Finding the sections is arithmetic on the header: no weight is read, copied or moved.
//! A file of another version, or of other shapes than the code was written for, is no model.

use super::DIMENSIONS;
use super::kernels::{Matrix, numbers};

/// Tokens of a text that count, with the two around it; the model was trained no further.
pub const MOST_TOKENS: usize = 256;
pub const HEADS: usize = 12;
pub const INNER: usize = 1536;
const LAYERS: usize = 6;
/// Weights of one row that share a scale.
pub const GROUP: usize = 64;
const SLOTS: usize = 1 << 16;

const MAGIC: &[u8; 8] = b"umcp-emb";
const VERSION: u32 = 1;
const HEADER: usize = 128;
const DIGEST: std::ops::Range<usize> = 96..HEADER;

/// All sections of the file.
pub struct Asset<'a> {
    pub digest: &'a [u8; 32],
    pub text: &'a [u8],
    pub ends: &'a [u32],
    pub slots: &'a [u16],
    /// First, last, class; in order.
    pub classes: &'a [[u32; 3]],
    /// Character, and where its text ends; in order.
    pub folds: &'a [[u32; 2]],
    pub fold_text: &'a str,
    pub word_scales: &'a [f32],
    pub words: &'a [i8],
    pub positions: &'a [f32],
    pub norm: Norm<'a>,
    pub layers: [Layer<'a>; LAYERS],
}

pub struct Norm<'a> {
    pub gain: &'a [f32],
    pub shift: &'a [f32],
}

pub struct Layer<'a> {
    /// Queries, keys and values, one under the other.
    pub asked: Matrix<'a>,
    pub mixed: Matrix<'a>,
    pub mixed_norm: Norm<'a>,
    pub inner: Matrix<'a>,
    pub outer: Matrix<'a>,
    pub outer_norm: Norm<'a>,
}

impl<'a> Asset<'a> {
    /// Finds the sections of a file that lies at a multiple of 64, or nothing where it is not one.
    pub fn read(file: &'a [u8]) -> Option<Self> {
        let header: &[u32] = numbers(file.get(..64)?)?;
        let shapes = [VERSION, 30_522, MOST_TOKENS as u32, DIMENSIONS as u32, LAYERS as u32, HEADS as u32];
        let fits = header[2..8] == shapes && header[8..10] == [INNER as u32, GROUP as u32];
        if cfg!(target_endian = "big") || file.get(..8)? != MAGIC || !fits {
            return None;
        }
        let tokens = header[3] as usize;
        let mut rest = Sections { file, at: HEADER };
        let asset = Self {
            digest: file.get(DIGEST)?.try_into().ok()?,
            text: rest.take(header[10] as usize)?,
            ends: rest.take(tokens)?,
            slots: rest.take(SLOTS)?,
            classes: rest.take::<u32>(header[11] as usize * 3)?.as_chunks().0,
            folds: rest.take::<u32>(header[12] as usize * 2)?.as_chunks().0,
            fold_text: std::str::from_utf8(rest.take(header[13] as usize)?).ok()?,
            word_scales: rest.take(tokens)?,
            words: rest.take(tokens * DIMENSIONS)?,
            positions: rest.take(MOST_TOKENS * DIMENSIONS)?,
            norm: rest.norm()?,
            layers: {
                let layers: Option<Vec<Layer>> = (0..LAYERS).map(|_| rest.layer()).collect();
                layers?.try_into().ok()?
            },
        };
        (rest.at == file.len()).then_some(asset)
    }
}

/// A reader of one section after the other.
struct Sections<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Sections<'a> {
    fn take<T: super::kernels::Number>(&mut self, count: usize) -> Option<&'a [T]> {
        let end = self.at.checked_add(count.checked_mul(size_of::<T>())?)?;
        let section = self.file.get(self.at..end)?;
        self.at = end.next_multiple_of(64);
        numbers(section)
    }

    fn norm(&mut self) -> Option<Norm<'a>> {
        Some(Norm { gain: self.take(DIMENSIONS)?, shift: self.take(DIMENSIONS)? })
    }

    fn matrix(&mut self, rows: usize, columns: usize) -> Option<Matrix<'a>> {
        let (codes, scales) = (self.take(rows * columns)?, self.take(rows * columns / GROUP)?);
        Some(Matrix { codes, scales, bias: self.take(rows)?, columns })
    }

    fn layer(&mut self) -> Option<Layer<'a>> {
        Some(Layer {
            asked: self.matrix(3 * DIMENSIONS, DIMENSIONS)?,
            mixed: self.matrix(DIMENSIONS, DIMENSIONS)?,
            mixed_norm: self.norm()?,
            inner: self.matrix(INNER, DIMENSIONS)?,
            outer: self.matrix(DIMENSIONS, INNER)?,
            outer_norm: self.norm()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_none() {
        // At a multiple of 64, as `read` wants it.
        let memory = vec![[0u64; 8]; 64];
        let zeros = memory.as_flattened().iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        for file in [&[][..], b"umcp-emb", &zeros] {
            assert!(Asset::read(file).is_none(), "{} bytes", file.len());
        }
    }
}
