//! A vector as it is kept: one byte a number and what the bytes are multiplied by.
//! Rounding moves a direction by less than the encoder's own weights do: the order of what is found stays.

use super::DIMENSIONS;
use super::kernels::{dot, level};

/// 384 numbers in 388 bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    scale: f32,
    codes: [i8; DIMENSIONS],
}

impl Vector {
    /// Bytes of a vector in a row.
    pub const BYTES: usize = 4 + DIMENSIONS;

    /// Rounds to bytes. What is not a number counts as zero.
    pub fn quantize(values: &[f32; DIMENSIONS]) -> Self {
        let sound = values.map(|value| if value.is_finite() { value } else { 0.0 });
        let largest = sound.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        if largest < f32::MIN_POSITIVE * 127.0 {
            return Self { scale: 0.0, codes: [0; DIMENSIONS] };
        }
        let scale = largest / 127.0;
        Self { scale, codes: sound.map(|value| (value / scale).round() as i8) }
    }

    /// The product with another vector: the cosine where both are of length one.
    pub fn dot(&self, other: &Self) -> f32 {
        dot(level(), &self.codes, &other.codes) as f32 * self.scale * other.scale
    }

    /// The product with a vector that was not rounded: exact up to this one's rounding.
    #[inline(always)]
    pub fn dot_exact(&self, query: &[f32; DIMENSIONS]) -> f32 {
        let mut lanes = [0f32; 16];
        for (codes, query) in self.codes.as_chunks::<16>().0.iter().zip(query.as_chunks::<16>().0) {
            for lane in 0..16 {
                lanes[lane] += f32::from(codes[lane]) * query[lane];
            }
        }
        lanes.iter().sum::<f32>() * self.scale
    }

    /// The row: the scale as a float, little endian, then the bytes.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut row = [0; Self::BYTES];
        row[..4].copy_from_slice(&self.scale.to_le_bytes());
        for (byte, code) in row[4..].iter_mut().zip(&self.codes) {
            *byte = code.cast_unsigned();
        }
        row
    }

    /// Reads a row; nothing where it has another length or no sound scale.
    pub fn from_bytes(row: &[u8]) -> Option<Self> {
        let (scale, codes) = row.split_first_chunk::<4>()?;
        let codes: &[u8; DIMENSIONS] = codes.try_into().ok()?;
        let scale = f32::from_le_bytes(*scale);
        // The lowest byte is never written; without it no product leaves its bounds.
        let sound = scale.is_finite() && scale >= 0.0;
        sound.then(|| Self { scale, codes: codes.map(|code| code.cast_signed().max(-127)) })
    }

    pub(super) fn codes(&self) -> &[i8; DIMENSIONS] {
        &self.codes
    }

    pub(super) fn scale(&self) -> f32 {
        self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_goes_through_its_row() {
        let values = std::array::from_fn(|at| (at as f32 - 190.0) / 1_000.0);
        let vector = Vector::quantize(&values);
        assert_eq!(Vector::from_bytes(&vector.to_bytes()), Some(vector.clone()));
        let exact: f32 = values.iter().map(|value| value * value).sum();
        assert!((vector.dot(&vector) / exact - 1.0).abs() < 0.001);
        assert!((vector.dot_exact(&values) / exact - 1.0).abs() < 0.001);
    }

    #[test]
    fn what_is_no_number_does_no_harm() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [0.5; DIMENSIONS];
            values[7] = bad;
            let vector = Vector::quantize(&values);
            assert_eq!((vector.codes[7], vector.codes[8]), (0, 127), "{bad}");
        }
        for none in [0.0, 1e-45] {
            let vector = Vector::quantize(&[none; DIMENSIONS]);
            assert_eq!((vector.dot(&vector), vector.scale), (0.0, 0.0));
        }
    }

    #[test]
    fn a_damaged_row_is_no_vector() {
        let row = Vector::quantize(&[0.5; DIMENSIONS]).to_bytes();
        assert_eq!(Vector::from_bytes(&row[1..]), None);
        assert_eq!(Vector::from_bytes(&[row.as_slice(), &[0]].concat()), None);
        for scale in [f32::NAN, f32::INFINITY, -1.0] {
            let mut row = row;
            row[..4].copy_from_slice(&scale.to_le_bytes());
            assert_eq!(Vector::from_bytes(&row), None, "{scale}");
        }
        let mut row = row;
        row[4] = 0x80;
        assert_eq!(Vector::from_bytes(&row).unwrap().codes[0], -127);
    }
}
