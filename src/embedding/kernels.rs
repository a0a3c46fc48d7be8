//! What is done with a processor's vector instructions, chosen when the program runs: products of integer matrices, distances
//! of bytes and bits. All of this room's `unsafe` is here, for three reasons: instructions a processor may lack (called only
//! after `level` has seen them), loads through pointers (the safe functions check every length first), and bytes of a mapped
//! file read as numbers (any bits are a number; place and length are checked).
//! Each path gives the same integers as the plain one; the tests compare them.

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
mod neon;

use super::DIMENSIONS;
use super::asset::GROUP;

/// Rows of weights that lie interleaved.
pub const ROWS: usize = 16;
/// 64-bit words of a signature, one bit a dimension.
pub const WORDS: usize = DIMENSIONS / 64;
/// Planes of bits a query is cut into for the comparison with signatures.
pub const PLANES: usize = 4;

/// Weights where they lie: blocks of sixteen rows, two neighbours of a row beside the same two of the next.
pub struct Matrix<'a> {
    pub codes: &'a [i8],
    /// Upper halves of floats: for each block and group of columns sixteen.
    pub scales: &'a [u16],
    pub bias: &'a [f32],
    pub columns: usize,
}

/// What the processor can do for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VNNI and the instruction that counts bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// The best of this processor; the standard library remembers what it saw.
pub fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vpopcntdq");
        let middle = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt");
        match (wide && middle, middle) {
            (true, _) => Level::Avx512,
            (_, true) => Level::Avx2,
            _ => Level::Plain,
        }
    }
    #[cfg(target_arch = "aarch64")]
    return if std::arch::is_aarch64_feature_detected!("neon") { Level::Neon } else { Level::Plain };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return Level::Plain;
}

/// A number that any bits of its size are.
///
/// # Safety
/// Only for types without invalid values.
pub unsafe trait Number {}
// SAFETY: integers and floats have no invalid values.
unsafe impl Number for u8 {}
// SAFETY: as above.
unsafe impl Number for i8 {}
// SAFETY: as above.
unsafe impl Number for u16 {}
// SAFETY: as above.
unsafe impl Number for u32 {}
// SAFETY: as above.
unsafe impl Number for f32 {}

/// Bytes as the numbers that they are, if they begin and end where such numbers can.
pub fn numbers<T: Number>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: every bit pattern is a value of a `Number`; `align_to` keeps to place and length.
    match unsafe { bytes.align_to::<T>() } {
        ([], numbers, []) => Some(numbers),
        _ => None,
    }
}

/// Runs `work` in code that was compiled for the level's instructions, as far as it is inlined.
pub fn wide<T>(level: Level, work: impl FnOnce() -> T) -> T {
    match level {
        // SAFETY: the level says that the processor has the instructions.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::wide512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::wide256(work) },
        _ => work(),
    }
}

/// For each token, the product of the weights with its integers, times what one integer stands for, plus the bias.
/// `integers` has a row of `columns` for each token, `out` one of the matrix's rows.
pub fn multiply(level: Level, matrix: &Matrix, integers: &[i16], factors: &[f32], out: &mut [f32]) {
    let (rows, columns, tokens) = (matrix.bias.len(), matrix.columns, factors.len());
    assert!(
        rows.is_multiple_of(ROWS) && columns.is_multiple_of(GROUP) && matrix.codes.len() == rows * columns
    );
    assert!(matrix.scales.len() == rows * columns / GROUP && integers.len() == tokens * columns);
    assert!(out.len() == tokens * rows);
    for block in 0..rows / ROWS {
        let mut begin = 0;
        while begin < tokens {
            let count = tile_height(level).min(tokens - begin);
            let part = Tile {
                codes: &matrix.codes[block * ROWS * columns..][..ROWS * columns],
                scales: &matrix.scales[block * ROWS * columns / GROUP..][..ROWS * columns / GROUP],
                bias: &matrix.bias[block * ROWS..][..ROWS],
                columns,
                integers: &integers[begin * columns..][..count * columns],
                factors: &factors[begin..][..count],
                stride: rows,
            };
            let end = (begin + count - 1) * rows + (block + 1) * ROWS;
            tile(level, &part, &mut out[begin * rows + block * ROWS..end]);
            begin += count;
        }
    }
}

/// A block of rows with a few tokens. Every length fits the others: `multiply` cut them so.
pub struct Tile<'a> {
    codes: &'a [i8],
    scales: &'a [u16],
    bias: &'a [f32],
    columns: usize,
    integers: &'a [i16],
    factors: &'a [f32],
    /// From one token's results to the next one's.
    stride: usize,
}

/// Tokens of a tile: as many as there are registers for.
fn tile_height(level: Level) -> usize {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => 8,
        _ => 4,
    }
}

fn tile(level: Level, tile: &Tile, out: &mut [f32]) {
    match level {
        // SAFETY: the level says that the processor has the instructions; the lengths are those of `multiply`.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::tile512(tile, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::tile256(tile, out) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Level::Neon => unsafe { neon::tile(tile, out) },
        Level::Plain => plain_tile(tile, out),
    }
}

fn plain_tile(tile: &Tile, out: &mut [f32]) {
    for (token, factor) in tile.factors.iter().enumerate() {
        let integers = &tile.integers[token * tile.columns..][..tile.columns];
        let mut sums = [0f32; ROWS];
        for (group, integers) in integers.chunks_exact(GROUP).enumerate() {
            let codes = &tile.codes[group * GROUP * ROWS..][..GROUP * ROWS];
            let mut whole = [0i32; ROWS];
            for (pair, codes) in integers.as_chunks::<2>().0.iter().zip(codes.as_chunks::<{ 2 * ROWS }>().0) {
                for row in 0..ROWS {
                    whole[row] += i32::from(codes[2 * row]) * i32::from(pair[0])
                        + i32::from(codes[2 * row + 1]) * i32::from(pair[1]);
                }
            }
            for row in 0..ROWS {
                sums[row] +=
                    whole[row] as f32 * f32::from_bits(u32::from(tile.scales[group * ROWS + row]) << 16);
            }
        }
        for row in 0..ROWS {
            out[token * tile.stride + row] = sums[row] * factor + tile.bias[row];
        }
    }
}

/// The product of two vectors of bytes.
pub fn dot(level: Level, left: &[i8; DIMENSIONS], right: &[i8; DIMENSIONS]) -> i32 {
    match level {
        // SAFETY: the level says that the processor has the instructions; the lengths are in the types.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::dot512(left, right) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::dot256(left, right) },
        _ => left.iter().zip(right).map(|(left, right)| i32::from(*left) * i32::from(*right)).sum(),
    }
}

/// Compares a query with eight signatures at once: for each, the sum over the planes of `2^plane` times the bits that both
/// have. `block` holds the first words of all eight, then their second words, and so on.
pub fn shared_bits(
    level: Level,
    query: &[[u64; WORDS]; PLANES],
    blocks: &[[[u64; 8]; WORDS]],
    out: &mut Vec<u32>,
) {
    out.clear();
    out.resize(blocks.len() * 8, 0);
    let (eights, _) = out.as_chunks_mut::<8>();
    match level {
        // SAFETY: the level says that the processor has the instructions; the lengths are in the types.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::shared512(query, blocks, eights) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::shared_counted(query, blocks, eights) },
        _ => plain_shared(query, blocks, eights),
    }
}

#[inline(always)]
fn plain_shared(query: &[[u64; WORDS]; PLANES], blocks: &[[[u64; 8]; WORDS]], out: &mut [[u32; 8]]) {
    for (block, out) in blocks.iter().zip(out) {
        for (plane, words) in query.iter().enumerate() {
            for (word, eight) in words.iter().zip(block) {
                for (sum, bits) in out.iter_mut().zip(eight) {
                    *sum += (bits & word).count_ones() << plane;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
