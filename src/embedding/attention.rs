//! Each token's mixture of all others, head by head: in floats, a small part of the work.
//! Loops keep sixteen sums in hand, so that the compiler holds them in registers.

use super::DIMENSIONS;
use super::asset::HEADS;
use super::lanes::softmax;

const HEAD: usize = DIMENSIONS / HEADS;
const LANES: usize = 16;

/// `asked` has queries, keys and values of a token one behind the other; `mixed` gets what a token takes from all.
#[inline(always)]
pub fn attend(asked: &[f32], mixed: &mut [f32]) {
    let (asked, _) = asked.as_chunks::<{ 3 * DIMENSIONS }>();
    let padded = asked.len().next_multiple_of(LANES);
    let mut keys = vec![0f32; HEAD * padded];
    let mut scores = vec![0f32; padded];
    for head in 0..HEADS {
        let place = head * HEAD..(head + 1) * HEAD;
        for (token, asked) in asked.iter().enumerate() {
            for (dimension, key) in asked[DIMENSIONS..][place.clone()].iter().enumerate() {
                keys[dimension * padded + token] = *key;
            }
        }
        for (token, query) in asked.iter().enumerate() {
            compare(&query[place.clone()], &keys, &mut scores);
            // Whoever is not there takes nothing.
            scores[asked.len()..].fill(f32::NEG_INFINITY);
            softmax(&mut scores);
            let mut sums = [0f32; HEAD];
            for (share, other) in scores.iter().zip(asked) {
                let values = &other[2 * DIMENSIONS..][place.clone()];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += share * value;
                }
            }
            mixed[token * DIMENSIONS..][place.clone()].copy_from_slice(&sums);
        }
    }
}

#[inline(always)]
fn compare(query: &[f32], keys: &[f32], scores: &mut [f32]) {
    let padded = scores.len();
    for (at, scores) in scores.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut sums = [0f32; LANES];
        for (dimension, part) in query.iter().enumerate() {
            let keys = &keys[dimension * padded + at * LANES..][..LANES];
            for (sum, key) in sums.iter_mut().zip(keys) {
                *sum += part * key;
            }
        }
        *scores = sums;
    }
}
