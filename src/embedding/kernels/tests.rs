//! Each path against the plain one, on numbers at the ends of their ranges.

use super::*;

/// Numbers that look random and are the same each time.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 29) ^ state
    }
}

fn levels() -> Vec<Level> {
    #[cfg(target_arch = "x86_64")]
    {
        // Who has more has the less, too.
        let all = [Level::Plain, Level::Avx2, Level::Avx512];
        let best = all.iter().position(|one| *one == level()).unwrap();
        all[..=best].to_vec()
    }
    #[cfg(not(target_arch = "x86_64"))]
    return vec![Level::Plain, level()];
}

#[test]
fn every_path_multiplies_alike() {
    let mut noise = noise(7);
    let (rows, columns) = (32, 2 * GROUP);
    let mut codes: Vec<i8> = (0..rows * columns).map(|_| noise() as i8).collect();
    // The worst sums there can be.
    codes[..columns * ROWS / 2].fill(-127);
    let scales: Vec<u16> = (0..rows * columns / GROUP).map(|_| 0x3a00 + (noise() % 256) as u16).collect();
    let bias: Vec<f32> = (0..rows).map(|row| row as f32).collect();
    let matrix = Matrix { codes: &codes, scales: &scales, bias: &bias, columns };
    for tokens in 1..=9 {
        let mut integers: Vec<i16> = (0..tokens * columns).map(|_| noise() as i16).collect();
        integers[..columns].fill(-32_767);
        let factors: Vec<f32> = (0..tokens).map(|token| 1e-6 * (token + 1) as f32).collect();
        let run = |level| {
            let mut out = vec![0f32; tokens * rows];
            multiply(level, &matrix, &integers, &factors, &mut out);
            out
        };
        let plain = run(Level::Plain);
        for level in levels() {
            for (at, (found, expected)) in run(level).iter().zip(&plain).enumerate() {
                // One rounding fewer where products are added in one step.
                let near = (found - expected).abs() <= expected.abs().max(1.0) * 1e-5;
                assert!(near, "{level:?}, {tokens} tokens, result {at}: {found}, not {expected}");
            }
        }
    }
}

#[test]
fn a_product_is_what_it_is_by_hand() {
    let (rows, columns) = (ROWS, GROUP);
    let mut codes = vec![0i8; rows * columns];
    // Row 3: 5 in column 0, -7 in column 1, 2 in column 62.
    (codes[6], codes[7], codes[62 * ROWS + 6]) = (5, -7, 2);
    let mut integers = vec![0i16; columns];
    (integers[0], integers[1], integers[62]) = (10, 3, 1_000);
    let matrix = Matrix { codes: &codes, scales: &[0x3f00; ROWS], bias: &[1.0; ROWS], columns };
    for level in levels() {
        let mut out = [0f32; ROWS];
        multiply(level, &matrix, &integers, &[0.25], &mut out);
        let mut expected = [1.0; ROWS];
        expected[3] = (50.0 - 21.0 + 2_000.0) * 0.5 * 0.25 + 1.0;
        assert_eq!(out, expected, "{level:?}");
    }
}

#[test]
fn every_path_compares_bytes_and_bits_alike() {
    let mut noise = noise(11);
    let mut vector = || std::array::from_fn::<i8, DIMENSIONS, _>(|_| (noise() as i8).max(-127));
    let (left, right) = (vector(), vector());
    let query: [[u64; WORDS]; PLANES] = std::array::from_fn(|_| std::array::from_fn(|_| noise()));
    let blocks: Vec<[[u64; 8]; WORDS]> =
        (0..3).map(|_| std::array::from_fn(|_| std::array::from_fn(|_| noise()))).collect();
    let counted = |level| {
        let mut out = Vec::new();
        shared_bits(level, &query, &blocks, &mut out);
        out
    };
    for level in levels() {
        assert_eq!(dot(level, &left, &right), dot(Level::Plain, &left, &right), "{level:?}");
        assert_eq!(dot(level, &[-127; DIMENSIONS], &[127; DIMENSIONS]), -127 * 127 * 384, "{level:?}");
        assert_eq!(counted(level), counted(Level::Plain), "{level:?}");
    }
}
