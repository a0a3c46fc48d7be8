//! Where a call stands in its trace: the ids of the W3C trace context, as `traceparent` carries them.
//! Rule: an id is made for every call and costs one atomic add; what cannot be read is no trace context and passes as it
//! came.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The name of the header, and of the key of `_meta`.
pub const TRACEPARENT: &str = "traceparent";

/// Ids of one span, and of the one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub trace: u128,
    pub span: u64,
    pub parent: Option<u64>,
    /// Somebody outside said the trace: what is called outside is told of it too.
    pub told: bool,
    /// As the caller said it; 1 where nobody said anything.
    pub flags: u8,
}

/// A number that no other call has.
fn fresh() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // SplitMix64: different for each count, spread over all bits.
    let mut mixed = SEED
        .get_or_init(crate::ids::random_number)
        .wrapping_add(NEXT.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // Zero is no id.
    mixed.max(1)
}

impl Mark {
    /// A trace of its own.
    pub fn root() -> Self {
        let span = fresh();
        // Not the span's number again, but from it: one count a call.
        let high = span.rotate_left(23).wrapping_mul(0xd6e8_feb8_6659_fd93) | 1;
        Self { trace: u128::from(high) << 64 | u128::from(span), span, parent: None, told: false, flags: 1 }
    }

    /// A new span below this one.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { span: fresh(), parent: Some(self.span), ..*self }
    }

    /// The span of a call whose caller said this `traceparent`; a root where it said none that can be read.
    pub fn of(traceparent: Option<&str>) -> Self {
        traceparent.and_then(Self::parse).map_or_else(Self::root, |said| said.below())
    }

    /// What a `traceparent` says: its span is that of whoever said it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
        };
        let whole = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
        // Later versions may say more; the first one may not.
        if !whole || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace, span, parent: None, told: true, flags })
    }

    /// What the next one is told.
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags & 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const SAID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_below_the_caller() {
        let own = Mark::of(Some(SAID));
        assert_eq!(
            (own.trace, own.parent, own.told),
            (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, Some(0x00f0_67aa_0ba9_02b7), true)
        );
        let next = own.traceparent();
        assert!(
            next.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && next.ends_with("-01") && next != SAID
        );
        assert_eq!(Mark::parse(&next).unwrap().span, own.span);
    }

    #[test]
    fn what_cannot_be_read_begins_a_trace() {
        for text in [
            "",
            "00-1",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            let mark = Mark::of(Some(text));
            assert!(Mark::parse(text).is_none() && mark.parent.is_none() && !mark.told, "{text}");
        }
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-more";
        assert_eq!(Mark::parse(later).unwrap().traceparent(), SAID);
    }

    #[test]
    fn ids_are_different() {
        let marks: Vec<Mark> = (0..10_000).map(|_| Mark::root()).collect();
        assert_eq!(marks.iter().map(|mark| mark.trace).collect::<HashSet<_>>().len(), marks.len());
        assert_eq!(marks.iter().map(|mark| mark.span).collect::<HashSet<_>>().len(), marks.len());
    }
}
