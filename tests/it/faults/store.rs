//! Faults of the store as the real daemon meets them; full disks, failed syncs and power cuts stand in the store's own tests.
//! The numbers are the rows of the fault table: 35, 38 and 39.

use super::entries::server;
use super::house::{House, failed_with, is_long, ms, note, within};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;
use umcp::daemon::client::Client;
use umcp::engine::Reply;
use umcp::error::codes;
use umcp::servers::model::Transport;
use umcp::servers::{self, Server};
use umcp::store::Store;

const WRITERS: usize = 4;

fn entry(name: &str) -> Server {
    Server { enabled: false, ..server(name, Transport::Builtin { name: "time".into() }) }
}

fn names(house: &House) -> BTreeSet<String> {
    match house.ask(servers::Request::List { tag: None }).unwrap() {
        Reply::Server(servers::Reply::Servers(servers)) => {
            servers.into_iter().map(|server| server.name).collect()
        }
        other => panic!("no servers: {other:?}"),
    }
}

/// Adds servers until the daemon is gone; notes every one that was acknowledged.
fn write_on(mut client: Client, prefix: &str, acknowledged: &Mutex<BTreeSet<String>>) {
    for n in 0.. {
        let name = format!("{prefix}-{n}");
        let request = servers::Request::Add { servers: vec![entry(&name)], replace: false };
        match client.call(&request.into(), &mut |_| {}) {
            Ok(_) => _ = acknowledged.lock().unwrap().insert(name),
            Err(_) => return,
        }
    }
}

#[test]
fn row_35_no_acknowledged_write_is_lost_when_the_daemon_is_killed() {
    let mut house = House::empty();
    let rounds = if is_long() { 200 } else { 20 };
    let mut total = 0;
    house.start().unwrap();
    for round in 0..rounds {
        let acknowledged = Mutex::default();
        let clients: Vec<Client> = (0..WRITERS).map(|_| house.client()).collect();
        std::thread::scope(|scope| {
            for (writer, client) in clients.into_iter().enumerate() {
                let acknowledged = &acknowledged;
                scope.spawn(move || write_on(client, &format!("w{round}-{writer}"), acknowledged));
            }
            // The kill comes at another point of the writing each time.
            let enough = 10 + round * 7 % 31;
            within(ms(20_000), "writes are acknowledged", || acknowledged.lock().unwrap().len() >= enough);
            house.kill_daemon();
        });
        let started = Instant::now();
        house.start().unwrap();
        let stored = names(&house);
        note(35, started.elapsed());
        let acknowledged = acknowledged.into_inner().unwrap();
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        // One write for each writer may have been committed and not acknowledged.
        assert!(stored.len() <= acknowledged.len() + WRITERS, "round {round}: {} stored", stored.len());
        total += acknowledged.len();
        house.ask(servers::Request::Remove { names: vec!["w*".into()] }).unwrap();
    }
    assert!(total >= rounds * 10);
}

/// Changes the file as `damage` says; the daemon must refuse it untouched, and a backup put in its place must work.
fn refuses(damage: impl Fn(&mut Vec<u8>)) {
    let mut house = House::empty();
    house.start().unwrap();
    house.ask(servers::Request::Add { servers: vec![entry("kept")], replace: false }).unwrap();
    house.signal(libc::SIGTERM);
    assert_eq!(house.wait(ms(6000)).0, Some(0));
    let path = house.paths.store();
    let backup = house.file("backup.redb");
    let store = Store::open(&path, umcp::clock::Timestamp(0)).unwrap();
    store.backup(&backup).unwrap();
    store.close().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, &bytes).unwrap();
    let error = failed_with(house.start(), &codes::STORE_DAMAGED);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(!error.hints.is_empty(), "a damaged store without a hint");
    assert!(std::fs::read(&path).unwrap() == bytes, "the damaged file was touched");
    assert!(beside(&path).is_empty(), "{:?}", beside(&path));
    let started = Instant::now();
    std::fs::copy(&backup, &path).unwrap();
    house.start().unwrap();
    assert!(names(&house).contains("kept"));
    note(38, started.elapsed());
}

/// Names in the store's folder besides the store.
fn beside(path: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name != path.file_name().unwrap()).collect()
}

#[test]
fn row_38_a_truncated_store_is_refused_and_not_touched() {
    refuses(|bytes| bytes.truncate(bytes.len() / 2));
}

#[test]
fn row_38_a_flipped_bit_is_refused_and_not_touched() {
    // In the first page, which tells where everything is.
    refuses(|bytes| bytes[3] ^= 0x10);
}

#[test]
fn row_39_a_store_that_another_process_holds_names_it() {
    let mut house = House::empty();
    house.start().unwrap();
    house.signal(libc::SIGTERM);
    assert_eq!(house.wait(ms(6000)).0, Some(0));
    let held = Store::open(&house.paths.store(), umcp::clock::Timestamp(0)).unwrap();
    let started = Instant::now();
    let error = failed_with(house.start(), &codes::STORE_LOCKED);
    let took = started.elapsed();
    assert!(took > ms(240) && took < ms(2000), "it waited {took:?}");
    let holder = format!("process {} has the store", std::process::id());
    assert!(error.message.contains(&holder), "{error}");
    held.close().unwrap();
    let started = Instant::now();
    house.start().unwrap();
    note(39, started.elapsed());
    assert!(names(&house).is_empty());
}
