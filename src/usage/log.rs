//! All records in the order of time, whether sealed or not.
//! Rule: a record that came late to a day that is sealed stands between those it came between.

use super::record::{CALLS, Call};
use super::sealed::{self, Head};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::store::{Position, Reader};

/// Records of one page that is read backwards.
const PAGE: usize = 512;

/// A stretch of time in which either all records stand for themselves, or some of them in a block.
enum Stretch {
    Open(Timestamp, Timestamp),
    Sealed(Head, (Timestamp, Timestamp)),
}

fn stretches(tx: &Reader, from: Timestamp, until: Timestamp) -> Result<Vec<Stretch>> {
    let (mut stretches, mut at) = (Vec::new(), from);
    for head in sealed::heads(tx, from, until)? {
        let first = head.first.at.max(at);
        if first > at {
            stretches.push(Stretch::Open(at, first));
        }
        let end = Timestamp(head.last.at.0.saturating_add(1)).min(until).max(first);
        stretches.push(Stretch::Sealed(head, (first, end)));
        at = end;
    }
    if at < until {
        stretches.push(Stretch::Open(at, until));
    }
    Ok(stretches)
}

/// Shows `visit` the records of a block that lie within `ends`, and those that came late to its time, until it says
/// `false`; whether it never did.
fn sealed(
    tx: &Reader,
    head: &Head,
    ends: (Timestamp, Timestamp),
    backwards: bool,
    visit: &mut dyn FnMut(Position, Call) -> Result<bool>,
) -> Result<bool> {
    let mut late = tx.range(&CALLS, ends.0, ends.1)?;
    if backwards {
        late.reverse();
    }
    let mut late = late.into_iter().peekable();
    sealed::open(tx, head, |records| {
        for step in 0..records.count() {
            let row = if backwards { records.count() - 1 - step } else { step };
            let place = records.position(row);
            let earlier = |it: &(Position, Call)| if backwards { it.0 > place } else { it.0 < place };
            while let Some((position, call)) = late.next_if(earlier) {
                match visit(position, call) {
                    Ok(true) => {}
                    other => return Some(other),
                }
            }
            if place.at < ends.0 || place.at >= ends.1 {
                continue;
            }
            let (position, call) = records.get(row)?;
            match visit(position, call) {
                Ok(true) => {}
                other => return Some(other),
            }
        }
        let mut more = Ok(true);
        for (position, call) in late {
            if matches!(more, Ok(true)) {
                more = visit(position, call);
            }
        }
        Some(more)
    })
}

/// Shows `visit` the records from `from` to before `until`, oldest first, until it says `false`.
pub fn each(
    tx: &Reader,
    from: Timestamp,
    until: Timestamp,
    mut visit: impl FnMut(Position, Call) -> Result<bool>,
) -> Result<()> {
    let mut more = true;
    for stretch in stretches(tx, from, until)? {
        match stretch {
            Stretch::Open(from, until) => tx.each(&CALLS, from, until, |position, call| {
                more = visit(position, call)?;
                Ok(more)
            })?,
            Stretch::Sealed(head, ends) => more = sealed(tx, &head, ends, false, &mut visit)?,
        }
        if !more {
            break;
        }
    }
    Ok(())
}

/// Shows `visit` the records since a time, newest first, until it says `false`. Reads in pages, so that a long history
/// is never in memory as a whole.
pub fn newest(
    tx: &Reader,
    since: Option<Timestamp>,
    mut visit: impl FnMut(Timestamp, Call) -> bool,
) -> Result<()> {
    for stretch in stretches(tx, since.unwrap_or_default(), Timestamp(u64::MAX))?.into_iter().rev() {
        let more = match stretch {
            Stretch::Open(from, until) => pages(tx, from, until, &mut visit)?,
            Stretch::Sealed(head, ends) => {
                sealed(tx, &head, ends, true, &mut |position, call| Ok(visit(position.at, call)))?
            }
        };
        if !more {
            break;
        }
    }
    Ok(())
}

fn pages(
    tx: &Reader,
    from: Timestamp,
    until: Timestamp,
    visit: &mut dyn FnMut(Timestamp, Call) -> bool,
) -> Result<bool> {
    let mut before = Position::start(until);
    loop {
        let page = tx.last(&CALLS, PAGE, Some(from), Some(before))?;
        let Some((oldest, _)) = page.last() else { return Ok(true) };
        before = *oldest;
        for (position, call) in page {
            if !visit(position.at, call) {
                return Ok(false);
            }
        }
    }
}
