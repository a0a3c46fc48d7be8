//! Which schedule is due next: a heap over all that are on, with their timetables. Held in memory by the daemon and
//! made anew from the store at its start; it decides nothing and remembers nothing that is not there.

use super::model::Trigger;
use super::timetable::{Timetable, zone};
use crate::clock::Timestamp;
use crate::error::Result;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// Later than any clock: nothing is due any more.
const NEVER: u64 = u64::MAX;

/// What the plan is told of a schedule that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    pub name: String,
    pub trigger: Trigger,
    pub zone: String,
    pub offset: u64,
    pub watermark: Timestamp,
}

#[derive(Debug, Default)]
pub struct Plan {
    slots: Vec<Slot>,
    free_slots: Vec<u32>,
    by_name: HashMap<Arc<str>, u32>,
    /// Due instant and slot; an entry counts while the slot says the same instant.
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// Each expression is kept once, however many schedules share it.
    shared: Vec<Shared>,
    free_shared: Vec<u32>,
    by_key: HashMap<Arc<Key>, u32>,
}

#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    shared: u32,
    offset: u64,
    watermark: u64,
    next: u64,
}

#[derive(Debug)]
struct Shared {
    key: Arc<Key>,
    timetable: Timetable,
    users: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    trigger: Trigger,
    zone: String,
}

impl Plan {
    /// How many schedules have something to come.
    pub fn waiting(&self) -> usize {
        self.by_name.values().filter(|slot| self.slots[**slot as usize].next != NEVER).count()
    }

    /// Takes a schedule in, in the place of the one of its name.
    ///
    /// # Errors
    /// Its expression or zone cannot be read; it is left out then.
    pub fn put(&mut self, slip: Slip) -> Result<()> {
        self.remove(&slip.name);
        let shared = self.share(slip.trigger, slip.zone)?;
        let name: Arc<str> = slip.name.into();
        let watermark = slip.watermark.0;
        let slot = Slot { name: name.clone(), shared, offset: slip.offset, watermark, next: NEVER };
        let index = place(&mut self.slots, &mut self.free_slots, slot);
        self.by_name.insert(name, index);
        self.time(index);
        Ok(())
    }

    fn share(&mut self, trigger: Trigger, zone_name: String) -> Result<u32> {
        // Only cron expressions ask for the zone.
        let zone_name = if matches!(trigger, Trigger::Cron(_)) { zone_name } else { String::new() };
        let key = Key { trigger, zone: zone_name };
        if let Some(index) = self.by_key.get(&key).copied() {
            self.shared[index as usize].users += 1;
            return Ok(index);
        }
        let timetable = Timetable::with(&key.trigger, || zone(&key.zone))?;
        let key = Arc::new(key);
        let shared = Shared { key: key.clone(), timetable, users: 1 };
        let index = place(&mut self.shared, &mut self.free_shared, shared);
        self.by_key.insert(key, index);
        Ok(index)
    }

    pub fn remove(&mut self, name: &str) {
        let Some(index) = self.by_name.remove(name) else { return };
        let slot = &mut self.slots[index as usize];
        slot.next = NEVER;
        self.free_slots.push(index);
        let shared = &mut self.shared[slot.shared as usize];
        shared.users -= 1;
        if shared.users == 0 {
            self.by_key.remove(&shared.key);
            self.free_shared.push(slot.shared);
        }
    }

    /// When something is due next.
    pub fn peek(&mut self) -> Option<Timestamp> {
        while let Some(Reverse((due, index))) = self.heap.peek() {
            if self.slots[*index as usize].next == *due {
                return Some(Timestamp(*due));
            }
            self.heap.pop();
        }
        None
    }

    /// The names of what is due at `now`; they wait for [`Plan::passed`] before they are due again.
    pub fn due(&mut self, now: Timestamp) -> Vec<String> {
        let mut due = Vec::new();
        while self.peek().is_some_and(|next| next <= now) {
            let Some(Reverse((_, index))) = self.heap.pop() else { break };
            let slot = &mut self.slots[index as usize];
            slot.next = NEVER;
            due.push(slot.name.to_string());
        }
        due
    }

    /// Everything of a schedule up to `watermark` was dealt with.
    pub fn passed(&mut self, name: &str, watermark: Timestamp) {
        if let Some(index) = self.by_name.get(name).copied() {
            let slot = &mut self.slots[index as usize];
            slot.watermark = slot.watermark.max(watermark.0);
            self.time(index);
        }
    }

    fn time(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.next = next(&self.shared[slot.shared as usize].timetable, slot);
        if slot.next != NEVER {
            self.heap.push(Reverse((slot.next, index)));
        }
        if self.heap.len() > 2 * self.slots.len() + 64 {
            self.heap = entries(&self.slots).collect();
        }
    }

    /// Reckons everything anew in the zones as they are now; a zone that is gone stays as it was.
    pub fn replan(&mut self, zone: impl Fn(&str) -> Result<TimeZone>) {
        let mut zones: HashMap<&str, Option<TimeZone>> = HashMap::new();
        for shared in &mut self.shared {
            if let Timetable::Cron { zone: old, .. } = &mut shared.timetable {
                let name = shared.key.zone.as_str();
                if let Some(new) = zones.entry(name).or_insert_with(|| zone(name).ok()) {
                    *old = new.clone();
                }
            }
        }
        for index in self.by_name.values() {
            let slot = &mut self.slots[*index as usize];
            slot.next = next(&self.shared[slot.shared as usize].timetable, slot);
        }
        self.heap = entries(&self.slots).collect();
    }
}

fn next(timetable: &Timetable, slot: &Slot) -> u64 {
    timetable.shifted(Timestamp(slot.watermark), slot.offset).map_or(NEVER, |next| next.0)
}

fn place<T>(all: &mut Vec<T>, free: &mut Vec<u32>, one: T) -> u32 {
    match free.pop() {
        Some(index) => {
            all[index as usize] = one;
            index
        }
        None => {
            all.push(one);
            u32::try_from(all.len() - 1).expect("fewer schedules than 2^32")
        }
    }
}

fn entries(slots: &[Slot]) -> impl Iterator<Item = Reverse<(u64, u32)>> {
    let numbered = slots.iter().zip(0_u32..);
    numbered.filter(|(slot, _)| slot.next != NEVER).map(|(slot, index)| Reverse((slot.next, index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn slip(name: &str, cron: &str, zone: &str) -> Slip {
        let watermark = at("2026-03-28T12:00:00Z");
        Slip {
            name: name.into(),
            trigger: Trigger::Cron(cron.into()),
            zone: zone.into(),
            offset: 0,
            watermark,
        }
    }

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let mut plan = Plan::default();
        plan.put(slip("b", "0 14 * * *", "UTC")).unwrap();
        plan.put(slip("a", "0 13 * * *", "UTC")).unwrap();
        plan.put(slip("c", "0 13 * * *", "UTC")).unwrap();
        assert_eq!(plan.shared.len(), 2);
        assert_eq!(plan.peek(), Some(at("2026-03-28T13:00:00Z")));
        assert_eq!(plan.due(at("2026-03-28T12:59:59.999Z")), Vec::<String>::new());
        let mut due = plan.due(at("2026-03-28T13:00:00Z"));
        due.sort();
        assert_eq!(due, ["a", "c"]);
        assert_eq!(plan.due(at("2026-03-28T13:00:00Z")), Vec::<String>::new());
        plan.passed("a", at("2026-03-28T13:00:00Z"));
        plan.remove("c");
        assert_eq!((plan.waiting(), plan.peek()), (2, Some(at("2026-03-28T14:00:00Z"))));
        plan.put(slip("b", "30 13 * * *", "UTC")).unwrap();
        assert_eq!(plan.peek(), Some(at("2026-03-28T13:30:00Z")));
        for round in 0..1000_u64 {
            plan.passed("a", Timestamp(at("2026-03-28T13:00:00Z").0 + round));
        }
        assert!(plan.heap.len() < 100);
        assert!(plan.put(slip("bad", "61 * * * *", "UTC")).is_err());
        assert!(plan.put(slip("bad", "1 * * * *", "Mars/Phobos")).is_err());
        assert_eq!(plan.waiting(), 2);
    }

    #[test]
    fn new_zone_data_moves_what_is_to_come() {
        let mut plan = Plan::default();
        plan.put(slip("a", "0 9 * * *", "Europe/Berlin")).unwrap();
        plan.put(slip("b", "0 9 * * *", "UTC")).unwrap();
        assert_eq!(plan.peek(), Some(at("2026-03-29T07:00:00Z")));
        // Berlin gives up the summer.
        let fixed = |name: &str| match name {
            "UTC" => zone("UTC"),
            _ => Ok(TimeZone::posix("CET-1").unwrap()),
        };
        plan.replan(fixed);
        assert_eq!(plan.due(at("2026-03-29T08:00:00Z")), ["a"]);
        plan.passed("a", at("2026-03-29T08:00:00Z"));
        assert_eq!(plan.peek(), Some(at("2026-03-29T09:00:00Z")));
        // A zone that is gone stays as it was.
        plan.replan(|_| Err(crate::error::Error::bug("gone")));
        assert_eq!(plan.peek(), Some(at("2026-03-29T09:00:00Z")));
    }
}
