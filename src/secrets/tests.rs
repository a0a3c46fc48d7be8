//! The rules of the noun over a store in memory: what is refused, and that a refusal changes nothing.

use super::*;
use crate::sealing::{DataKey, Guard, open_text, seal};
use crate::store::Store;

struct Room {
    store: Store,
    key: DataKey,
    wrapping: DataKey,
}

impl Room {
    fn new() -> Self {
        Self { store: Store::memory(), key: DataKey::generate(), wrapping: DataKey::generate() }
    }

    fn slot(&self, id: &str, key: &DataKey) -> Slot {
        Slot::new(id.into(), Guard::KeyFile { path: None }, &self.wrapping, key)
    }

    fn ask(&self, request: Request) -> Result<Reply> {
        if request.writes() {
            return self.store.write(|tx| write(tx, request));
        }
        self.store.read(|tx| read(tx, &request))
    }

    fn begin(&self, anew: bool) -> Result<Reply> {
        self.ask(Request::Begin { slot: self.slot("slot_1", &self.key), anew, at: Timestamp(1) })
    }

    fn set(&self, name: &str, text: &str, replace: bool) -> Result<Reply> {
        let value = sealed(&self.key, name, text);
        self.ask(Request::Set { name: name.into(), value, replace, at: Timestamp(2) })
    }

    fn get(&self, name: &str) -> Option<Stored> {
        match self.ask(Request::Get { name: name.into() }).unwrap() {
            Reply::Secret(found) => found.map(|found| *found),
            other => panic!("{other:?}"),
        }
    }
}

fn sealed(key: &DataKey, name: &str, text: &str) -> Sealed {
    Sealed { key: key.fingerprint(), bytes: seal(key, &aad(name), text.as_bytes()) }
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> &'static str {
    outcome.unwrap_err().code.name
}

#[test]
fn a_secret_is_set_read_renamed_and_deleted() {
    let room = Room::new();
    room.begin(false).unwrap();
    room.set("a", "one", false).unwrap();
    assert_eq!(code(room.set("a", "two", false)), "secret_exists");
    room.set("a", "two", true).unwrap();
    let stored = room.get("a").unwrap();
    assert_eq!(open_text(&room.key, &aad("a"), &stored.value.bytes).unwrap().reveal(), "two");
    let value = sealed(&room.key, "b", "two");
    room.ask(Request::Rename { from: "a".into(), to: "b".into(), value, at: Timestamp(3) }).unwrap();
    assert!(room.get("a").is_none() && room.get("b").is_some());
    assert_eq!(code(room.ask(Request::Delete { names: vec!["b".into(), "c".into()] })), "secret_not_found");
    assert!(room.get("b").is_some(), "a delete of several is one step");
    room.ask(Request::Delete { names: vec!["b".into()] }).unwrap();
    assert!(room.get("b").is_none());
}

#[test]
fn a_new_key_is_never_made_over_secrets() {
    let room = Room::new();
    assert_eq!(code(room.set("a", "x", false)), "vault_conflict");
    room.begin(false).unwrap();
    assert_eq!(code(room.begin(false)), "vault_conflict");
    room.begin(true).unwrap();
    room.set("a", "x", false).unwrap();
    assert_eq!(code(room.begin(true)), "vault_conflict");
    let other = DataKey::generate();
    let slots = vec![room.slot("slot_2", &other)];
    assert_eq!(code(room.ask(Request::Slots { slots, at: Timestamp(1) })), "vault_conflict");
    assert_eq!(code(room.ask(Request::Slots { slots: vec![], at: Timestamp(1) })), "vault_conflict");
    let value = sealed(&other, "a", "x");
    let set = Request::Set { name: "a".into(), value, replace: true, at: Timestamp(1) };
    assert_eq!(code(room.ask(set)), "vault_conflict");
}

#[test]
fn a_new_data_key_replaces_every_value_or_nothing() {
    let room = Room::new();
    room.begin(false).unwrap();
    room.set("a", "1", false).unwrap();
    room.set("b", "2", false).unwrap();
    let new = DataKey::generate();
    let rekey = |was: &str, names: &[&str]| {
        room.ask(Request::Rekey {
            was: was.into(),
            slots: vec![room.slot("slot_2", &new)],
            values: names.iter().map(|name| ((*name).to_string(), sealed(&new, name, "n"))).collect(),
            at: Timestamp(5),
        })
    };
    let was = room.key.fingerprint();
    assert_eq!(code(rekey(&was, &["a"])), "vault_conflict");
    assert_eq!(code(rekey("other", &["a", "b"])), "vault_conflict");
    assert_eq!(room.get("a").unwrap().value.key, was);
    rekey(&was, &["a", "b"]).unwrap();
    assert_eq!(room.get("b").unwrap().value.key, new.fingerprint());
}

#[test]
fn swapped_rows_do_not_open() {
    let room = Room::new();
    room.begin(false).unwrap();
    room.set("a", "1", false).unwrap();
    let a = room.get("a").unwrap().value;
    // Whoever can write the file puts the value of one name under another.
    let set = Request::Set { name: "b".into(), value: a, replace: false, at: Timestamp(1) };
    room.ask(set).unwrap();
    let b = room.get("b").unwrap();
    assert_eq!(code(open_text(&room.key, &aad("b"), &b.value.bytes)), "vault_damaged");
}

#[test]
fn debug_shows_no_value() {
    let room = Room::new();
    room.begin(false).unwrap();
    room.set("a", "canary", false).unwrap();
    let stored = room.get("a").unwrap();
    assert_eq!(format!("{:?}", stored.value), format!("sealed({} bytes)", stored.value.bytes.len()));
}
