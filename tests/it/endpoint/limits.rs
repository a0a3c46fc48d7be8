//! Bounds on how often clients come: exact while many come at once, each key and address for itself.

use super::{ask, bearer, key};
use crate::support::daemon::Daemon;
use serde_json::json;
use umcp::engine::live::Listening;

fn statuses(address: &str, count: usize, headers: &[(&'static str, String)]) -> Vec<(u16, Option<u64>)> {
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (address, headers) = (address.to_string(), headers.to_vec());
            std::thread::spawn(move || {
                let (head, _) = ask(&address, "tools/list", json!({}), &headers);
                (head.status, head.get("retry-after").map(|it| it.parse().unwrap()))
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

fn passed(statuses: &[(u16, Option<u64>)]) -> usize {
    for (status, retry) in statuses {
        match status {
            200 => assert_eq!(*retry, None),
            429 => assert!(retry.is_some_and(|seconds| (1..=60).contains(&seconds)), "{retry:?}"),
            other => panic!("{other}"),
        }
    }
    statuses.iter().filter(|(status, _)| *status == 200).count()
}

#[test]
fn each_key_has_its_own_bound_which_is_exact_under_64_at_once() {
    // Few enough that none comes back while the test runs.
    let daemon = Daemon::start_with(&[("UMCP_GATEWAY__CLIENT_RATE", "2")]);
    let address = daemon.listen_as(Listening::default()).address;
    let (one, other) = (key(&daemon, "one", |_| {}), key(&daemon, "other", |_| {}));
    assert_eq!(passed(&statuses(&address, 64, &[bearer(&one)])), 2);
    assert_eq!(passed(&statuses(&address, 8, &[bearer(&other)])), 2);
}

#[test]
fn an_address_is_counted_where_a_trusted_proxy_names_it() {
    let daemon = Daemon::start_with(&[("UMCP_GATEWAY__ADDRESS_RATE", "3")]);
    let direct = daemon.listen_as(Listening { no_key: true, ..Listening::default() }).address;
    let behind = Listening { no_key: true, trusted: vec!["127.0.0.1".into()], ..Listening::default() };
    let behind = daemon.listen_as(behind).address;
    let named = |address: &str| [("X-Forwarded-For", address.to_string())];
    assert_eq!(passed(&statuses(&behind, 8, &named("203.0.113.9"))), 3);
    assert_eq!(
        passed(&statuses(&behind, 8, &named("10.9.9.9, 203.0.113.9"))),
        0,
        "what the client says counts not"
    );
    let household =
        ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9"].map(|it| passed(&statuses(&behind, 8, &named(it))));
    assert_eq!(household, [3, 0]);
    assert_eq!(passed(&statuses(&behind, 8, &named("2001:db8:1:3::1"))), 3);
    assert_eq!(passed(&statuses(&direct, 8, &named("198.51.100.1"))), 3, "no proxy is trusted here");
    assert_eq!(passed(&statuses(&direct, 8, &named("198.51.100.2"))), 0);
}
