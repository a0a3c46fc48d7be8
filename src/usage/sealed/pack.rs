//! Columns of whole numbers as few bytes: one value, a frame with bits, a list of values, differences, or a frame with
//! exceptions, whichever is shortest. It knows nothing of records.
//! Rule: what is read may be damaged; nothing here panics or takes more memory than its input deserves.

/// Rows of one column at most.
pub const ROWS: usize = 1 << 14;
/// Values that are listed at most.
const LISTED: usize = 1 << 12;

const SAME: u8 = 0;
const FRAME: u8 = 1;
const STEPS: u8 = 2;
const LIST: u8 = 3;
const RARE: u8 = 4;

/// Bytes being written.
#[derive(Debug, Default)]
pub struct Packer(pub Vec<u8>);

impl Packer {
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// A column in its shortest form. `ordered`: also as differences, which can only be read from the start.
    pub fn column(&mut self, values: &[u64], ordered: bool) {
        if let Some(first) = values.first().filter(|first| values.iter().all(|value| value == *first)) {
            self.0.push(SAME);
            return self.number(*first);
        }
        let mut forms = vec![framed(values)];
        forms.extend(listed(values));
        forms.extend(rare(values));
        if ordered {
            forms.push(stepped(values));
        }
        let shortest = forms.into_iter().min_by_key(|form| form.0.len()).unwrap_or_default();
        self.0.extend_from_slice(&shortest.0);
    }

    fn frame(&mut self, values: &[u64]) {
        let least = values.iter().copied().min().unwrap_or(0);
        let step = values.iter().fold(0, |step, value| divisor(step, value - least)).max(1);
        let most = values.iter().copied().max().unwrap_or(0);
        let width = 64 - ((most - least) / step).leading_zeros();
        self.number(least);
        self.number(step);
        self.bits(values.iter().map(|value| (value - least) / step), width);
    }

    fn bits(&mut self, values: impl Iterator<Item = u64>, width: u32) {
        self.0.push(width as u8);
        let (mut waiting, mut held) = (0u128, 0u32);
        for value in values {
            waiting |= u128::from(value) << held;
            held += width;
            while held >= 8 {
                self.0.push(waiting as u8);
                waiting >>= 8;
                held -= 8;
            }
        }
        if held > 0 {
            self.0.push(waiting as u8);
        }
    }
}

fn divisor(mut left: u64, mut right: u64) -> u64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

fn framed(values: &[u64]) -> Packer {
    let mut form = Packer(vec![FRAME]);
    form.frame(values);
    form
}

fn stepped(values: &[u64]) -> Packer {
    let mut form = Packer(vec![STEPS]);
    form.number(values.first().copied().unwrap_or(0));
    let step = |pair: &[u64]| {
        let difference = pair[1].wrapping_sub(pair[0]) as i64;
        ((difference << 1) ^ (difference >> 63)) as u64
    };
    let steps: Vec<u64> = values.windows(2).map(step).collect();
    form.column(&steps, false);
    form
}

fn listed(values: &[u64]) -> Option<Packer> {
    let mut list = values.to_vec();
    list.sort_unstable();
    list.dedup();
    if list.len() > LISTED || list.len() * 2 > values.len() {
        return None;
    }
    let mut form = Packer(vec![LIST]);
    form.number(list.len() as u64);
    form.frame(&list);
    let width = 64 - (list.len() as u64 - 1).leading_zeros();
    form.bits(values.iter().map(|value| list.binary_search(value).unwrap_or(0) as u64), width);
    Some(form)
}

/// A frame of the width that most values need; the few beyond it stand apart.
fn rare(values: &[u64]) -> Option<Packer> {
    let least = values.iter().copied().min()?;
    let mut counts = [0usize; 65];
    for value in values {
        counts[64 - (value - least).leading_zeros() as usize] += 1;
    }
    let (mut beyond, mut best) = (0, None);
    for width in (1..=64usize).rev() {
        beyond += counts[width];
        let bits = values.len() * (width - 1) + beyond * 80;
        if beyond > 0 && best.is_none_or(|(least, _)| bits < least) {
            best = Some((bits, width as u32 - 1));
        }
    }
    let (_, width) = best?;
    let fits = |value: &u64| 64 - (value - least).leading_zeros() <= width;
    let odd = || values.iter().enumerate().filter(|(_, value)| !fits(value));
    let mut form = Packer(vec![RARE]);
    form.number(least);
    form.number(odd().count() as u64);
    form.frame(&odd().map(|(at, _)| at as u64).collect::<Vec<_>>());
    form.frame(&odd().map(|(_, value)| *value).collect::<Vec<_>>());
    form.bits(values.iter().map(|value| if fits(value) { value - least } else { 0 }), width);
    Some(form)
}

/// Bytes being read; nothing when they are not what was written.
#[derive(Debug, Clone, Copy)]
pub struct Unpacker<'a>(pub &'a [u8]);

impl<'a> Unpacker<'a> {
    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Some(value);
            }
        }
        None
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A number of things of which each takes at least a byte of what is left, or a bit of a column.
    pub fn count(&mut self, most: usize) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= most)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A column of `rows` values.
    pub fn column(&mut self, rows: usize) -> Option<Column<'a>> {
        if rows > ROWS {
            return None;
        }
        let form = self.take(1)?[0];
        Some(match form {
            SAME => Column::Same(self.number()?),
            FRAME => Column::Frame(self.frame(rows)?),
            STEPS => {
                let mut value = self.number()?;
                // Differences of differences are never written.
                if self.0.first() == Some(&STEPS) {
                    return None;
                }
                let steps = self.column(rows.saturating_sub(1))?.all(rows.saturating_sub(1));
                let mut values = vec![value];
                values.extend(steps.into_iter().map(|step| {
                    value = value.wrapping_add((step >> 1) ^ (step & 1).wrapping_neg());
                    value
                }));
                Column::Known(values)
            }
            LIST => {
                let count = self.count(LISTED)?;
                let list = self.frame(count)?;
                let list = (0..count).map(|at| list.get(at)).collect();
                Column::List(list, self.bits(rows)?)
            }
            RARE => {
                let least = self.number()?;
                let count = self.count(rows)?;
                let (places, values) = (self.frame(count)?, self.frame(count)?);
                let odd = (0..count).map(|at| (places.get(at), values.get(at))).collect();
                Column::Rare(Frame { least, step: 1, bits: self.bits(rows)? }, odd)
            }
            _ => return None,
        })
    }

    fn frame(&mut self, rows: usize) -> Option<Frame<'a>> {
        Some(Frame { least: self.number()?, step: self.number()?, bits: self.bits(rows)? })
    }

    fn bits(&mut self, rows: usize) -> Option<Bits<'a>> {
        let width = u32::from(self.take(1)?[0]);
        let bytes = self.take((rows * width as usize).div_ceil(8))?;
        (width <= 64).then_some(Bits { bytes, width })
    }
}

/// A column whose values are read where they lie.
#[derive(Debug)]
pub enum Column<'a> {
    Same(u64),
    Frame(Frame<'a>),
    Known(Vec<u64>),
    List(Vec<u64>, Bits<'a>),
    /// Exceptions by the number of their row.
    Rare(Frame<'a>, Vec<(u64, u64)>),
}

#[derive(Debug)]
pub struct Frame<'a> {
    least: u64,
    step: u64,
    bits: Bits<'a>,
}

#[derive(Debug)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    width: u32,
}

impl Column<'_> {
    /// The value of a row that the column has.
    pub fn get(&self, row: usize) -> u64 {
        match self {
            Self::Same(value) => *value,
            Self::Frame(frame) => frame.get(row),
            Self::Known(values) => values.get(row).copied().unwrap_or(0),
            Self::List(list, bits) => list.get(bits.get(row) as usize).copied().unwrap_or(0),
            Self::Rare(frame, odd) => match odd.binary_search_by_key(&(row as u64), |it| it.0) {
                Ok(at) => odd[at].1,
                Err(_) => frame.get(row),
            },
        }
    }

    pub fn all(&self, rows: usize) -> Vec<u64> {
        match self {
            Self::Same(value) => vec![*value; rows],
            Self::Frame(frame) => (0..rows).map(|row| frame.get(row)).collect(),
            Self::Known(values) => (0..rows).map(|row| values.get(row).copied().unwrap_or(0)).collect(),
            Self::List(list, bits) => {
                (0..rows).map(|row| list.get(bits.get(row) as usize).copied().unwrap_or(0)).collect()
            }
            Self::Rare(frame, odd) => {
                let mut values: Vec<u64> = (0..rows).map(|row| frame.get(row)).collect();
                for (row, value) in odd {
                    if let Some(place) = values.get_mut(*row as usize) {
                        *place = *value;
                    }
                }
                values
            }
        }
    }
}

impl Frame<'_> {
    fn get(&self, row: usize) -> u64 {
        self.least.wrapping_add(self.bits.get(row).wrapping_mul(self.step))
    }
}

impl Bits<'_> {
    fn get(&self, row: usize) -> u64 {
        let bit = row * self.width as usize;
        let (byte, shift) = (bit / 8, (bit % 8) as u32);
        let mask = if self.width == 64 { u64::MAX } else { (1 << self.width) - 1 };
        if shift + self.width <= 64
            && let Some(word) = self.bytes.get(byte..byte + 8).and_then(|word| word.try_into().ok())
        {
            return (u64::from_le_bytes(word) >> shift) & mask;
        }
        let mut wide = [0; 16];
        let end = self.bytes.len().min(byte + 16);
        let rest = self.bytes.get(byte..end).unwrap_or_default();
        wide[..rest.len()].copy_from_slice(rest);
        (u128::from_le_bytes(wide) >> shift) as u64 & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy;

    fn packed(values: &[u64], ordered: bool) -> Vec<u8> {
        let mut packer = Packer::default();
        packer.column(values, ordered);
        packer.0
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        let one = prop_oneof![any::<u64>(), 0u64..4, 1_000u64..2_000, 0u64..=u64::MAX / 3];
        let mixed = proptest::collection::vec(one, 1..300);
        let narrow = (any::<u64>(), 1u64..1_000, proptest::collection::vec(0u64..50, 1..300)).prop_map(
            |(least, step, values)| values.iter().map(|value| least.saturating_add(value * step)).collect(),
        );
        prop_oneof![mixed, narrow]
    }

    proptest! {
        #[test]
        fn columns_come_back(values in values(), ordered: bool) {
            let bytes = packed(&values, ordered);
            let mut unpacker = Unpacker(&bytes);
            let column = unpacker.column(values.len()).unwrap();
            prop_assert_eq!(unpacker.0.len(), 0);
            prop_assert_eq!(column.all(values.len()), values.clone());
            let each: Vec<u64> = (0..values.len()).map(|row| column.get(row)).collect();
            prop_assert_eq!(each, values);
        }

        #[test]
        fn damage_is_survived(values in values(), at: usize, byte: u8, rows in 0usize..20_000) {
            let mut bytes = packed(&values, true);
            let length = bytes.len();
            bytes[at % length] = byte;
            if let Some(column) = Unpacker(&bytes).column(rows) {
                column.all(rows);
                column.get(rows);
            }
        }
    }

    #[test]
    fn each_kind_of_column_is_short() {
        let times: Vec<u64> = (0..8192).map(|at| 1_700_000_000_000_000 + at * 1000 + at % 7).collect();
        let mut durations: Vec<u64> = (0..8192).map(|at| 300 + at % 200).collect();
        durations[77] = 60_000_000_000;
        let prices: Vec<u64> = (0..8192).map(|at| at * 37 % 4096 * 3_000_000).collect();
        let classes: Vec<u64> = (0..8192).map(|at| if at % 3 == 0 { u64::MAX } else { 5 }).collect();
        for (values, ordered, bits) in [
            (vec![u64::MAX; 8192], false, 0),
            (times, true, 11),
            (durations, false, 8),
            (prices, false, 12),
            (classes, false, 1),
        ] {
            let size = packed(&values, ordered).len();
            assert!(size <= 1024 * bits + 64, "{size} for {bits} bits");
        }
    }
}
