//! Where a record stands in a series, and how that is written as a key.
//! Rule: keys sort as the positions they stand for.

use super::codec;
use crate::clock::Timestamp;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Where a record stands in a series: its time, and its rank among records of the same microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub at: Timestamp,
    pub sequence: u32,
}

impl Position {
    /// The first position of a moment.
    pub const fn start(at: Timestamp) -> Self {
        Self { at, sequence: 0 }
    }

    pub(super) fn key(self) -> [u8; 12] {
        let mut key = [0; 12];
        key[..8].copy_from_slice(&self.at.0.to_be_bytes());
        key[8..].copy_from_slice(&self.sequence.to_be_bytes());
        key
    }

    pub(super) fn from_key(table: &str, key: &[u8]) -> Result<Self> {
        let (at, sequence) = key.split_first_chunk::<8>().ok_or_else(|| codec::damaged(table, key))?;
        let sequence = sequence.try_into().map_err(|_| codec::damaged(table, key))?;
        Ok(Self { at: Timestamp(u64::from_be_bytes(*at)), sequence: u32::from_be_bytes(sequence) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn keys_sort_as_positions_and_come_back(one: (u64, u32), other: (u64, u32)) {
            let [one, other] = [one, other].map(|(at, sequence)| Position { at: Timestamp(at), sequence });
            prop_assert_eq!(one.key().cmp(&other.key()), one.cmp(&other));
            prop_assert_eq!(Position::from_key("t", &one.key()).unwrap(), one);
        }
    }

    #[test]
    fn a_key_of_another_length_is_damage() {
        for length in [0, 7, 8, 11, 13] {
            assert!(Position::from_key("t", &vec![1; length]).is_err());
        }
    }
}
