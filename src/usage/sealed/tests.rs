//! What a reader of the records may rely on, whether they are sealed or not.

use super::super::money::Pico;
use super::super::price;
use super::super::query::{self, Filter, Query};
use super::super::record::tests::call;
use super::super::record::{Cost, Tokens};
use super::super::sums::{Dimension, Dims, Sums};
use super::super::{self as usage, Entry, log, rollup};
use super::columns::tests::any_call;
use super::*;
use crate::store::Store;
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use std::collections::BTreeMap;

const DAY: u64 = 86_400_000_000;
const START: u64 = 20_000 * DAY;

fn all(tx: &Reader) -> Result<Vec<(Timestamp, Call)>> {
    let mut found = Vec::new();
    log::each(tx, Timestamp(0), Timestamp(u64::MAX), |position, call| {
        found.push((position.at, call));
        Ok(true)
    })?;
    Ok(found)
}

fn sealed(store: &Store, now: u64) -> u64 {
    store.write(|tx| seal_all(tx, Timestamp(now))).unwrap()
}

/// Calls as one developer's agents make them.
fn usual(number: u64) -> (Timestamp, Call) {
    let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let mut call = call(200 + dice % 20_000);
    call.client = ["claude-code", "cursor", "codex"][(dice % 3) as usize].into();
    call.server = format!("server-{}", dice % 11);
    call.tool = format!("tool_{}", dice % 70);
    call.duration_us = 300 + (dice >> 3) % 60_000;
    call.request_bytes = 40 + (dice >> 5) % 900;
    call.detail.session = number / 200;
    call.detail.user = Some(format!("user-{}", (dice >> 7) % 50));
    call.detail.model = Some("claude-sonnet-4-5".into());
    let (input, output) = (call.result_bytes / 4, call.request_bytes / 4);
    if dice.is_multiple_of(10) {
        call.detail.tokens = Some(Tokens { input, output });
    }
    let pico = Pico(i128::from(input) * 3_000_000 + i128::from(output) * 15_000_000);
    call.detail.cost = Some(Cost { pico, version: Some(3) });
    (Timestamp(START + number * 4_000_000 + dice % 3_000_000), call)
}

fn filled(count: u64) -> Store {
    let store = Store::memory();
    let batch = |tx: &mut Writer| {
        for (at, call) in (0..count).map(usual) {
            tx.push(&CALLS, at, &call)?;
        }
        rollup::rebuild(tx)
    };
    store.write(batch).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sealed_or_not_the_answers_are_the_same(
        calls in proptest::collection::vec((0u64..4 * DAY, 0u8..4, any_call()), 1..60),
        wanted in 0usize..10,
        until in 0u64..5,
    ) {
        let store = Store::memory();
        // Some moments come twice, and the records of each round come after the days before were sealed.
        let mut expected = Vec::new();
        for round in 0..4 {
            for (at, _, one) in calls.iter().filter(|it| it.1 == round) {
                let at = Timestamp(START + at / (DAY / 3) * (DAY / 3) + at % 5);
                let mut one = one.clone();
                one.detail.cost = one.detail.cost.map(|it| Cost { pico: Pico(it.pico.0 % 1_000_000), ..it });
                store.write(|tx| rollup::push(tx, at, &mut one)).unwrap();
                expected.push((at, one));
            }
            sealed(&store, START + u64::from(round) * DAY + DAY / 2);
        }
        let mut found = store.read(all).unwrap();
        let order = |it: &(Timestamp, Call)| (it.0, serde_json::to_string(&it.1).unwrap());
        prop_assert!(found.is_sorted_by_key(|it| it.0));
        found.sort_by_key(order);
        expected.sort_by_key(order);
        prop_assert_eq!(&found, &expected);
        let checked = store.read(rollup::differences).unwrap();
        prop_assert_eq!((checked.records, checked.differences), (expected.len() as u64, Vec::new()));

        let mut newest = Vec::new();
        let back = |tx: &Reader| log::newest(tx, None, |at, call| {
            newest.push((at, call));
            true
        });
        store.read(back).unwrap();
        newest.sort_by_key(order);
        prop_assert_eq!(&newest, &expected);

        let dimension = Dimension::ALL[wanted];
        let filter = Filter { fits: vec![(Dimension::Client, "*a*".into()), (Dimension::Tool, "*".into())] };
        let edges = vec![Timestamp(START), Timestamp(START + until * DAY)];
        let query = Query { edges, group_by: vec![dimension, Dimension::User], filter };
        let points = store.read(|tx| query::answer(tx, &query)).unwrap();
        let mut sums = BTreeMap::<Vec<String>, Sums>::new();
        for (_, call) in expected.iter().filter(|it| it.0 < query.edges[1] && query.filter.hits_call(&it.1)) {
            let dims = Dims::of(call);
            let key = vec![dims.value(dimension), dims.value(Dimension::User)];
            sums.entry(key).or_default().count(call);
        }
        let found: BTreeMap<_, _> =
            points[0].groups.iter().map(|group| (group.key.clone(), group.sums.clone())).collect();
        prop_assert_eq!(found, sums);
    }
}

#[test]
fn what_is_sealed_is_small_and_pages_like_the_rest() {
    let store = filled(30_000);
    let before = store.read(all).unwrap();
    let counts = |store: &Store| {
        let request = usage::Request::Counts { since: Timestamp(START + DAY / 3) };
        format!("{:?}", store.read(|tx| usage::read(tx, &request)).unwrap())
    };
    let counted = counts(&store);
    assert_eq!(sealed(&store, START + 40 * DAY), 30_000);
    let extent = store.read(extent).unwrap();
    assert_eq!((extent.records, extent.days, extent.blocks), (30_000, 2, 5));
    assert!(extent.bytes <= 30_000 * 22, "{} bytes a record", extent.bytes / 30_000);
    assert_eq!(store.read(|tx| tx.count(&CALLS)).unwrap(), 0);
    assert_eq!(store.read(all).unwrap(), before);
    assert_eq!(counts(&store), counted);
    // By pages, with a late record in the midst of them.
    let (at, mut late) = usual(5_000);
    store.write(|tx| rollup::push(tx, at, &mut late)).unwrap();
    let (mut after, mut entries) = (None, Vec::<Entry>::new());
    loop {
        let (from, until) = (Timestamp(0), Timestamp(u64::MAX));
        let request = usage::Request::Records { from, until, after, filter: Filter::default(), limit: 977 };
        let usage::Reply::Records(page) = store.read(|tx| usage::read(tx, &request)).unwrap() else {
            panic!("no records")
        };
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(entries.len(), 30_001);
    assert!(entries.is_sorted_by_key(|entry| entry.at));
}

#[test]
fn each_transaction_is_bounded_and_leaves_every_record_in_one_place() {
    let store = Store::memory();
    let count = PIECE as u64 + 10;
    let push = |tx: &mut Writer| {
        (0..count).try_for_each(|number| tx.push(&CALLS, Timestamp(START + number), &call(1)).map(drop))
    };
    store.write(push).unwrap();
    let now = Timestamp(START + DAY);
    let step = store.write(|tx| seal(tx, now, None)).unwrap();
    assert_eq!(step.records, PIECE as u64);
    let held = |tx: &Reader| Ok((tx.count(&CALLS)?, extent(tx)?.records));
    assert_eq!(store.read(held).unwrap(), (10, PIECE as u64));
    let rest = store.write(|tx| seal(tx, now, step.next)).unwrap();
    assert_eq!((rest.records, store.read(held).unwrap()), (10, (0, count)));
    // A step that fails leaves all as it was.
    store.write(|tx| tx.push(&CALLS, Timestamp(START + 5), &call(2))).unwrap();
    let failed = store.write(|tx| {
        seal_all(tx, now)?;
        Err::<(), _>(Error::bug("the disk is full"))
    });
    assert!(failed.is_err());
    assert_eq!(store.read(held).unwrap(), (1, count));
    assert_eq!(sealed(&store, now.0), 1);
    assert_eq!(store.read(held).unwrap(), (0, count + 1));
    // Today stays as it is.
    store.write(|tx| tx.push(&CALLS, now, &call(2))).unwrap();
    assert_eq!(sealed(&store, now.0 + 1), 0);
}

#[test]
fn a_damaged_block_is_named_and_the_others_are_read() {
    let store = filled(30_000);
    sealed(&store, START + 40 * DAY);
    let heads = store.read(|tx| heads(tx, Timestamp(0), Timestamp(u64::MAX))).unwrap();
    let broken = Part { rows: heads[1].rows, bytes: Packed(vec![1, 2, 3]) };
    store.write(|tx| tx.put(&PARTS, &heads[1].key('f'), &broken)).unwrap();
    let error = store.read(all).unwrap_err();
    assert!(error.is(&codes::STORE_DAMAGED));
    let said = error.to_string();
    assert!(said.contains("the block of 8192 calls from 2024-10-04T09:06:"), "{said}");
    let before = store.read(|tx| {
        let mut count = 0;
        log::each(tx, Timestamp(0), heads[1].first.at, |_, _| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    });
    assert_eq!(before.unwrap(), 8192);
    // The place of a day's blocks is written down once more, where it cannot be read.
    let store = filled(3_000);
    sealed(&store, START + 40 * DAY);
    let whole = store.read(all).unwrap();
    let other = Table::<Part>::new(tables::SEALED_DAYS);
    let day = day_key(Timestamp(START));
    store.write(|tx| tx.put(&other, &day, &Part { rows: 1, bytes: Packed(Vec::new()) })).unwrap();
    assert!(store.read(all).unwrap_err().is(&codes::STORE_DAMAGED));
    store.write(rollup::rebuild).unwrap();
    assert_eq!(store.read(all).unwrap(), whole);
    assert_eq!(store.read(rollup::differences).unwrap().differences, []);
}

#[test]
fn the_oldest_blocks_go_first_and_the_sums_stay() {
    let store = filled(60_000);
    let now = START + 3 * DAY + 1;
    sealed(&store, now);
    let days = store.read(|tx| days(tx, Timestamp(0), Timestamp(u64::MAX))).unwrap();
    assert_eq!(days.iter().map(|(_, day)| day.rows()).collect::<Vec<_>>(), [21_600, 21_600, 16_800]);
    let trim =
        |keep, since| store.write(|tx| rollup::trim(tx, keep, Timestamp(since), Timestamp(now))).unwrap();
    assert_eq!(trim(100_000, 0), 0);
    // Blocks go as a whole: two of 8,192 fit into the 20,000 that are too many.
    assert_eq!(trim(40_000, 0), 2 * 8192);
    assert_eq!(trim(100_000, START + DAY), 21_600 - 2 * 8192);
    assert_eq!(store.read(rollup::differences).unwrap().differences, []);
    let edges = vec![Timestamp(START), Timestamp(START + 3 * DAY)];
    let query = Query { edges, group_by: vec![Dimension::Client], filter: Filter::default() };
    assert_eq!(store.read(|tx| query::answer(tx, &query)).unwrap()[0].total().records, 60_000);
    assert_eq!(trim(0, 0), 21_600 + 16_800);
    assert_eq!(store.read(extent).unwrap(), Extent::default());
    assert_eq!(store.read(rollup::differences).unwrap().differences, []);
}

#[test]
fn costs_of_sealed_records_are_reckoned_anew() {
    let store = filled(10_000);
    sealed(&store, START + 40 * DAY);
    let yaml = "prices: [{name: each, entities: ['server-1.*'], api_calls: 0.25}]";
    let book = price::file::parse("prices.yaml", yaml).unwrap();
    let put = price::Request::Put { book: Box::new(book), replace: true, now: Timestamp(START) };
    store.write(|tx| price::write(tx, put)).unwrap();
    let (from, until) = (Timestamp(START), Timestamp(START + 40 * DAY));
    let changed = store.write(|tx| rollup::recalculate(tx, from, until)).unwrap();
    assert_eq!(changed, 10_000);
    let found = store.read(all).unwrap();
    let cost: i128 = found.iter().filter_map(|it| it.1.detail.cost).map(|cost| cost.pico.0).sum();
    let calls = found.iter().filter(|it| it.1.server == "server-1").count() as i128;
    assert_eq!(cost, calls * 250_000_000_000);
    assert_eq!(store.read(rollup::differences).unwrap().differences, []);
}
