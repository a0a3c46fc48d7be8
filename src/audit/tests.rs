//! A chain that is whole, and every way in which one is not.

use super::*;
use crate::store::Store;

fn change(number: u64) -> Event {
    Event::Change { what: "server add".into(), names: vec![format!("s{number}")] }
}

/// A store with so many records, one a millisecond.
fn filled(count: u64) -> Store {
    let store = Store::memory();
    for number in 1..=count {
        let at = Timestamp::from_millis(number);
        store.write(|tx| tx.link(&AUDIT, at, body(at, change(number)))).unwrap();
    }
    store
}

fn verdict(store: &Store) -> Verdict {
    match store.read(|tx| read(tx, &Request::Verify { expect: None })).unwrap() {
        Reply::Verdict(verdict) => verdict,
        other => panic!("{other:?}"),
    }
}

fn links(store: &Store) -> Vec<(Position, Link)> {
    store.read(|tx| tx.range(&AUDIT, Timestamp(0), Timestamp(u64::MAX))).unwrap()
}

/// The same records, changed; every envelope is valid, as it is when somebody knows the format.
fn forged(store: &Store, forge: impl Fn(&mut Vec<(Position, Link)>)) -> Store {
    let mut links = links(store);
    forge(&mut links);
    let forged = Store::memory();
    forged
        .write(|tx| {
            links.iter().try_for_each(|(position, link)| tx.push(&AUDIT, position.at, link).map(drop))
        })
        .unwrap();
    forged
}

#[test]
fn whatever_was_changed_is_named() {
    let store = filled(9);
    let whole = verdict(&store);
    assert_eq!((whole.records, whole.first, whole.last), (9, Some(1), Some(9)));
    assert_eq!(whole.faults, []);
    type Forge = fn(&mut Vec<(Position, Link)>);
    let cases: [(Forge, u64, &str); 5] = [
        (|links| links[4].1.body = links[4].1.body.replace("s5", "s6"), 5, "it is not what was written"),
        (|links| drop(links.remove(3)), 5, "it follows record 3: what stood between is gone"),
        (
            |links| {
                // Whoever hashes the changed record again breaks the next one.
                let forged = Store::memory();
                let link = &links[6].1;
                let at = Timestamp(1);
                forged.write(|tx| tx.link(&AUDIT, at, link.body.replace("s7", "x"))).unwrap();
                let mut other = super::tests::links(&forged).remove(0).1;
                other.number = 7;
                other.previous = link.previous;
                other.hash =
                    crate::ids::sha256(&[&7u64.to_be_bytes(), &other.previous, other.body.as_bytes()]);
                links[6].1 = other;
            },
            8,
            "it does not follow the record before it",
        ),
        (|links| drop(links.drain(..2)), 3, "the records before it are gone, and no purge is recorded"),
        (|links| links[8].1.hash[0] ^= 1, 9, "it is not what was written"),
    ];
    for (forge, number, problem) in cases {
        let fault = Fault { number, problem: problem.into() };
        assert_eq!(verdict(&forged(&store, forge)).faults.first(), Some(&fault), "{problem}");
    }
    // A chain that was cut at its end is whole; the hash that was kept shows it.
    let cut = forged(&store, |links| links.truncate(5));
    assert_eq!(verdict(&cut).faults, []);
    let expect = Request::Verify { expect: whole.head };
    match cut.read(|tx| read(tx, &expect)).unwrap() {
        Reply::Verdict(verdict) => assert_eq!(verdict.expected, Some(false)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_purge_leaves_a_chain_that_holds() {
    let store = filled(9);
    let purge = |before: Option<u64>, keep| {
        let before = before.map(Timestamp::from_millis);
        let request = Request::Purge { before, keep, at: Timestamp::from_millis(20) };
        match store.write(|tx| write(tx, request)).unwrap() {
            Reply::Purged(removed) => removed,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(purge(Some(1), None), 0);
    assert_eq!(purge(Some(4), None), 3);
    let after = verdict(&store);
    assert_eq!((after.first, after.last, after.faults), (Some(4), Some(10), vec![]));
    assert_eq!(purge(None, Some(2)), 5);
    let after = verdict(&store);
    assert_eq!((after.first, after.last, after.faults), (Some(9), Some(11), vec![]));
    // Everything goes but the record that says so, and the chain goes on behind it.
    assert_eq!(purge(Some(100), None), 3);
    let at = Timestamp::from_millis(30);
    store.write(|tx| tx.link(&AUDIT, at, body(at, change(1)))).unwrap();
    let after = verdict(&store);
    assert_eq!((after.first, after.last, after.faults), (Some(12), Some(13), vec![]));
}

#[test]
fn records_are_linked_in_the_order_of_commits_whatever_their_clock_says() {
    let store = Store::memory();
    for at in [50, 10, 40, 10] {
        let at = Timestamp(at);
        assert!(store.append_link(&AUDIT, at, body(at, change(1))).unwrap());
        store.flush().unwrap();
    }
    store.write(|tx| tx.link(&AUDIT, Timestamp(5), body(Timestamp(5), change(2)))).unwrap();
    let verdict = verdict(&store);
    assert_eq!((verdict.records, verdict.last, verdict.faults), (5, Some(5), vec![]));
    let at: Vec<u64> = links(&store).iter().map(|(position, _)| position.at.0).collect();
    assert_eq!(at, [50; 5]);
}

#[test]
fn a_list_is_filtered_and_a_report_counts() {
    let store = Store::memory();
    let call = |client: &str, tool: &str, decision: &str, outcome: &str| {
        Event::Call(Box::new(Call {
            client: client.into(),
            token: None,
            door: "stdio".into(),
            server: "git".into(),
            tool: tool.into(),
            kind: String::new(),
            decision: decision.into(),
            rule: (decision != "allow").then(|| "r".into()),
            outcome: outcome.into(),
            error: None,
            arguments: serde_json::value::RawValue::from_string(shape::shape("{}")).unwrap(),
            result_bytes: 1,
            duration_us: 2,
        }))
    };
    let events = [
        call("a", "log", "allow", "ok"),
        call("b", "push", "refused", "error"),
        call("a", "push", "approved", "tool error"),
        change(1),
    ];
    for (number, event) in events.into_iter().enumerate() {
        let at = Timestamp::from_millis(number as u64);
        store.write(|tx| tx.link(&AUDIT, at, body(at, event))).unwrap();
    }
    let list = |filter: Filter| match store.read(|tx| read(tx, &Request::List { filter, limit: 10 })).unwrap()
    {
        Reply::Entries(entries) => entries.iter().map(|entry| entry.number).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let text = |text: &str| Some(text.to_string());
    assert_eq!(list(Filter::default()), [4, 3, 2, 1]);
    assert_eq!(list(Filter { client: text("a"), ..Filter::default() }), [3, 1]);
    assert_eq!(list(Filter { tool: text("git.push"), ..Filter::default() }), [3, 2]);
    assert_eq!(list(Filter { tool: text("git"), refused: true, ..Filter::default() }), [2]);
    assert_eq!(list(Filter { kind: text("change"), ..Filter::default() }), [4]);
    assert_eq!(list(Filter { since: Some(Timestamp::from_millis(2)), ..Filter::default() }), [4, 3]);
    let report = match store.read(|tx| read(tx, &Request::Report { since: Timestamp(0) })).unwrap() {
        Reply::Report(report) => *report,
        other => panic!("{other:?}"),
    };
    let expected = Report {
        not_let_in: 0,
        calls: 3,
        refused: 1,
        approved: 1,
        failed: 1,
        lost: 0,
        changes: 1,
        clients: [("a".to_string(), (2, 0)), ("b".to_string(), (1, 1))].into(),
        tools: [("git.log".to_string(), (1, 0)), ("git.push".to_string(), (2, 1))].into(),
        rules: [("r".to_string(), 2)].into(),
        changed: [("server add".to_string(), 1)].into(),
    };
    assert_eq!(report, expected);
}
