//! The products on x86-64. Unsafe as a whole: see the head of `kernels`.

use super::{PLANES, ROWS, Tile, WORDS, plain_shared};
use crate::embedding::DIMENSIONS;
use crate::embedding::asset::GROUP;
use std::arch::x86_64::{
    _mm_loadu_si128, _mm256_add_epi32, _mm256_castsi256_ps, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps,
    _mm256_cvtepu16_epi32, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_castsi512_ps,
    _mm512_cvtepi8_epi16, _mm512_cvtepi32_ps, _mm512_cvtepi64_epi32, _mm512_cvtepu16_epi32,
    _mm512_dpwssd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_popcnt_epi64,
    _mm512_reduce_add_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_slli_epi32, _mm512_slli_epi64, _mm512_storeu_ps,
};

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub unsafe fn wide512<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn wide256<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// # Safety
/// The processor has the instructions, and the tile's lengths fit each other and `out`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub unsafe fn tile512(tile: &Tile, out: &mut [f32]) {
    // SAFETY: the caller's.
    unsafe {
        match tile.factors.len() {
            1 => tokens512::<1>(tile, out),
            2 => tokens512::<2>(tile, out),
            3 => tokens512::<3>(tile, out),
            4 => tokens512::<4>(tile, out),
            5 => tokens512::<5>(tile, out),
            6 => tokens512::<6>(tile, out),
            7 => tokens512::<7>(tile, out),
            _ => tokens512::<8>(tile, out),
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn tokens512<const TOKENS: usize>(tile: &Tile, out: &mut [f32]) {
    // SAFETY: all offsets stay below the lengths that `multiply` cut the tile to.
    unsafe {
        let (codes, scales) = (tile.codes.as_ptr(), tile.scales.as_ptr());
        let integers = tile.integers.as_ptr();
        let mut sums = [_mm512_setzero_ps(); TOKENS];
        for group in 0..tile.columns / GROUP {
            let mut whole = [_mm512_setzero_si512(); TOKENS];
            for pair in 0..GROUP / 2 {
                let column = group * GROUP + 2 * pair;
                let weights = _mm512_cvtepi8_epi16(_mm256_loadu_si256(codes.add(column * ROWS).cast()));
                for (token, whole) in whole.iter_mut().enumerate() {
                    let two = integers.add(token * tile.columns + column).cast::<i32>().read_unaligned();
                    *whole = _mm512_dpwssd_epi32(*whole, weights, _mm512_set1_epi32(two));
                }
            }
            let scale = _mm512_cvtepu16_epi32(_mm256_loadu_si256(scales.add(group * ROWS).cast()));
            let scale = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(scale));
            for (sum, whole) in sums.iter_mut().zip(whole) {
                *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scale, *sum);
            }
        }
        let bias = _mm512_loadu_ps(tile.bias.as_ptr());
        for (token, sum) in sums.into_iter().enumerate() {
            let result = _mm512_fmadd_ps(sum, _mm512_set1_ps(tile.factors[token]), bias);
            _mm512_storeu_ps(out.as_mut_ptr().add(token * tile.stride), result);
        }
    }
}

/// # Safety
/// The processor has the instructions, and the tile's lengths fit each other and `out`.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn tile256(tile: &Tile, out: &mut [f32]) {
    // SAFETY: the caller's.
    unsafe {
        match tile.factors.len() {
            1 => tokens256::<1>(tile, out),
            2 => tokens256::<2>(tile, out),
            3 => tokens256::<3>(tile, out),
            _ => tokens256::<4>(tile, out),
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn tokens256<const TOKENS: usize>(tile: &Tile, out: &mut [f32]) {
    // SAFETY: all offsets stay below the lengths that `multiply` cut the tile to.
    unsafe {
        let (codes, scales) = (tile.codes.as_ptr(), tile.scales.as_ptr());
        let integers = tile.integers.as_ptr();
        for half in [0, ROWS / 2] {
            let mut sums = [_mm256_setzero_ps(); TOKENS];
            for group in 0..tile.columns / GROUP {
                let mut whole = [_mm256_setzero_si256(); TOKENS];
                for pair in 0..GROUP / 2 {
                    let column = group * GROUP + 2 * pair;
                    let weights = codes.add(column * ROWS + 2 * half);
                    let weights = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast()));
                    for (token, whole) in whole.iter_mut().enumerate() {
                        let two = integers.add(token * tile.columns + column).cast::<i32>().read_unaligned();
                        let product = _mm256_madd_epi16(weights, _mm256_set1_epi32(two));
                        *whole = _mm256_add_epi32(*whole, product);
                    }
                }
                let scale = _mm256_cvtepu16_epi32(_mm_loadu_si128(scales.add(group * ROWS + half).cast()));
                let scale = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(scale));
                for (sum, whole) in sums.iter_mut().zip(whole) {
                    *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, *sum);
                }
            }
            let bias = _mm256_loadu_ps(tile.bias.as_ptr().add(half));
            for (token, sum) in sums.into_iter().enumerate() {
                let result = _mm256_fmadd_ps(sum, _mm256_set1_ps(tile.factors[token]), bias);
                _mm256_storeu_ps(out.as_mut_ptr().add(token * tile.stride + half), result);
            }
        }
    }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub unsafe fn dot512(left: &[i8; DIMENSIONS], right: &[i8; DIMENSIONS]) -> i32 {
    let mut sum = _mm512_setzero_si512();
    for at in (0..DIMENSIONS).step_by(32) {
        // SAFETY: 32 divides the length.
        let (left, right) = unsafe {
            let left = _mm256_loadu_si256(left.as_ptr().add(at).cast());
            (left, _mm256_loadu_si256(right.as_ptr().add(at).cast()))
        };
        sum = _mm512_dpwssd_epi32(sum, _mm512_cvtepi8_epi16(left), _mm512_cvtepi8_epi16(right));
    }
    _mm512_reduce_add_epi32(sum)
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2")]
pub unsafe fn dot256(left: &[i8; DIMENSIONS], right: &[i8; DIMENSIONS]) -> i32 {
    let mut sum = _mm256_setzero_si256();
    for at in (0..DIMENSIONS).step_by(16) {
        // SAFETY: 16 divides the length.
        let (left, right) = unsafe {
            let left = _mm_loadu_si128(left.as_ptr().add(at).cast());
            (left, _mm_loadu_si128(right.as_ptr().add(at).cast()))
        };
        sum =
            _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(left), _mm256_cvtepi8_epi16(right)));
    }
    let mut lanes = [0i32; 8];
    // SAFETY: eight lanes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum) };
    lanes.iter().sum()
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
pub unsafe fn shared512(query: &[[u64; WORDS]; PLANES], blocks: &[[[u64; 8]; WORDS]], out: &mut [[u32; 8]]) {
    for (block, out) in blocks.iter().zip(out) {
        let mut sums = [_mm512_setzero_si512(); PLANES];
        for word in 0..WORDS {
            // SAFETY: eight words of eight bytes.
            let eight = unsafe { _mm512_loadu_si512(block[word].as_ptr().cast()) };
            for plane in 0..PLANES {
                let both = _mm512_and_si512(eight, _mm512_set1_epi64(query[plane][word].cast_signed()));
                sums[plane] = _mm512_add_epi64(sums[plane], _mm512_popcnt_epi64(both));
            }
        }
        let high = _mm512_add_epi64(sums[2], _mm512_slli_epi64::<1>(sums[3]));
        let low = _mm512_add_epi64(sums[0], _mm512_slli_epi64::<1>(sums[1]));
        let all = _mm512_cvtepi64_epi32(_mm512_add_epi64(low, _mm512_slli_epi64::<2>(high)));
        // SAFETY: eight sums of four bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), all) };
    }
}

/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx2,popcnt")]
pub unsafe fn shared_counted(
    query: &[[u64; WORDS]; PLANES],
    blocks: &[[[u64; 8]; WORDS]],
    out: &mut [[u32; 8]],
) {
    plain_shared(query, blocks, out);
}
