//! The arithmetic in floats between the integer products: norms, sums, exponentials, rounding to integers.
//! Written in lanes of sixteen without branches, so that the compiler makes vector code of it wherever `kernels::wide` runs it.

use super::asset::Norm;

const LANES: usize = 16;
/// Adding it leaves a number's integer part in the low bits; good to four million.
const MAGIC: f32 = 12_582_912.0;
const MAGIC_BITS: i32 = 0x4b40_0000;
/// The largest integer a number becomes: products with weights of a group stay far inside 32 bits.
const LARGEST: f32 = 32_767.0;

#[inline(always)]
fn reduced(values: &[f32], start: f32, each: impl Fn(f32) -> f32, step: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], each(chunk[lane]));
        }
    }
    let rest = rest.iter().fold(start, |all, value| step(all, each(*value)));
    lanes.iter().fold(rest, |all, value| step(all, *value))
}

/// The sum, in an order of its own.
#[inline(always)]
pub fn sum(values: &[f32]) -> f32 {
    reduced(values, 0.0, |value| value, |all, value| all + value)
}

/// Makes the numbers a direction of length one; zeros stay zeros.
#[inline(always)]
pub fn unit(values: &mut [f32]) {
    let length = square_sum(values).sqrt();
    if length > 0.0 {
        values.iter_mut().for_each(|value| *value /= length);
    }
}

#[inline(always)]
fn square_sum(values: &[f32]) -> f32 {
    reduced(values, 0.0, |value| value * value, |all, value| all + value)
}

/// Adds `more`, then brings mean and spread to what the norm wants.
#[inline(always)]
pub fn add_and_norm(values: &mut [f32], more: &[f32], norm: &Norm) {
    for (value, more) in values.iter_mut().zip(more) {
        *value += more;
    }
    let mean = sum(values) / values.len() as f32;
    values.iter_mut().for_each(|value| *value -= mean);
    let spread = 1.0 / (square_sum(values) / values.len() as f32 + 1e-12).sqrt();
    for ((value, gain), shift) in values.iter_mut().zip(norm.gain).zip(norm.shift) {
        *value = *value * spread * gain + shift;
    }
}

/// Rounds a token's numbers to integers that fill their range, and gives what one of them stands for.
#[inline(always)]
pub fn to_integers(values: &[f32], integers: &mut [i16]) -> f32 {
    let largest = reduced(values, 0.0, f32::abs, f32::max).max(1e-30);
    let factor = LARGEST / largest;
    for (value, integer) in values.iter().zip(integers) {
        *integer = ((value * factor + MAGIC).to_bits() as i32).wrapping_sub(MAGIC_BITS) as i16;
    }
    largest / LARGEST
}

/// Makes scores shares of one; `scores` may end in minus infinity.
#[inline(always)]
pub fn softmax(scores: &mut [f32]) {
    let largest = reduced(scores, f32::NEG_INFINITY, |score| score, f32::max);
    scores.iter_mut().for_each(|score| *score = exp(*score - largest));
    let whole = 1.0 / sum(scores);
    scores.iter_mut().for_each(|score| *score *= whole);
}

/// The Gaussian error linear unit, exact to a float's precision.
#[inline(always)]
pub fn gelu(values: &mut [f32]) {
    for value in values {
        *value = *value * 0.5 * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// Abramowitz and Stegun 7.1.26: off by less than 2e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let tail =
        ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - tail * exp(-x * x)).copysign(x)
}

/// Good to two units in the last place; below -87 it is as good as zero.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let magic = x * std::f32::consts::LOG2_E + MAGIC;
    let whole = magic - MAGIC;
    // ln 2 in two parts, so that nothing of the difference is lost.
    let r = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let poly = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
        + 1.666_666_5e-1)
        * r
        + 0.5;
    let power = f32::from_bits(magic.to_bits().wrapping_add(127) << 23);
    (poly * r * r + r + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_agree_with_their_definitions() {
        for step in -800..=800 {
            let x = step as f32 / 10.0;
            let (found, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((found - exact).abs() <= exact * 3e-7, "exp({x}) = {found}, not {exact}");
        }
        // From a table of the function.
        for (x, exact) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (-2.0, -0.995_322_3),
            (4.0, 1.0),
        ] {
            assert!((erf(x) - exact).abs() < 3e-7, "erf({x}) = {}, not {exact}", erf(x));
        }
    }

    #[test]
    fn shares_of_one_leave_nothing_for_what_is_impossible() {
        let mut scores = [1.0, 2.0, 3.0, f32::NEG_INFINITY];
        softmax(&mut scores);
        assert!(scores[3] < 1e-37 && (sum(&scores) - 1.0).abs() < 1e-6, "{scores:?}");
        assert!((scores[2] - 0.665_240_94).abs() < 1e-6);
    }

    #[test]
    fn integers_fill_their_range() {
        let mut integers = [0; 4];
        let factor = to_integers(&[0.5, -1.0, 0.0, 0.25], &mut integers);
        assert_eq!(integers, [16_384, -32_767, 0, 8_192]);
        assert!((factor - 1.0 / 32_767.0).abs() < 1e-9);
        assert_eq!((to_integers(&[0.0; 4], &mut integers) < 1e-30, integers), (true, [0; 4]));
    }
}
