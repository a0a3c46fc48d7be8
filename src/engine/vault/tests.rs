//! The vault over a store in memory and key files in a folder of the test's own.

use super::*;
use crate::clock::Clock;
use crate::store::Store;
use std::fs;

struct Room {
    engine: Engine,
    places: Places,
    _dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { own: dir.path().join("data").join("vault.key"), named: None };
        Self { engine: Engine::new(Store::memory(), Clock::System), places, _dir: dir }
    }

    /// A vault as another process would have it: no key in memory yet.
    fn vault(&self) -> Vault<Engine> {
        Vault::new(self.engine.clone(), self.places.clone())
    }
}

fn code<T: std::fmt::Debug>(outcome: Result<T>) -> &'static str {
    outcome.unwrap_err().code.name
}

#[test]
fn the_first_secret_makes_the_vault_and_others_open_it() {
    let room = Room::new();
    assert_eq!(room.vault().get("a").unwrap(), None);
    assert!(!room.places.own.exists(), "looking makes nothing");
    room.vault().set("a", &Secret::new("one")).unwrap();
    assert!(room.places.own.exists());
    let other = room.vault();
    assert_eq!(other.get("a").unwrap().unwrap().reveal(), "one");
    other.set("connection/x/token", &Secret::new("t")).unwrap();
    assert!(other.delete("a").unwrap() && !other.delete("a").unwrap());
    assert_eq!(other.get("a").unwrap(), None);
}

#[test]
fn a_missing_or_foreign_key_file_is_an_error_and_makes_no_new_key() {
    let room = Room::new();
    room.vault().set("a", &Secret::new("one")).unwrap();
    let kept = fs::read(&room.places.own).unwrap();
    fs::remove_file(&room.places.own).unwrap();
    assert_eq!(code(room.vault().get("a")), "vault_key_missing");
    assert_eq!(code(room.vault().set("b", &Secret::new("two"))), "vault_key_missing");
    assert_eq!(code(room.vault().begin(true)), "vault_key_missing");
    // Whatever was tried, the old file still opens it.
    fs::write(&room.places.own, &kept).unwrap();
    set_private(&room.places.own);
    assert_eq!(room.vault().get("a").unwrap().unwrap().reveal(), "one");
    fs::remove_file(&room.places.own).unwrap();
    keyfile::create(&room.places.own).unwrap();
    assert_eq!(code(room.vault().get("a")), "vault_key_wrong");
}

#[test]
fn slots_that_are_gone_make_no_new_key() {
    let room = Room::new();
    let other = DataKey::generate();
    room.vault().set("a", &Secret::new("one")).unwrap();
    // A vault of another store was put under the key file.
    let store = Store::memory();
    let engine = Engine::new(store, Clock::System);
    let slot = Slot::new("s".into(), Guard::KeyFile { path: None }, &other, &other);
    engine.ask(Request::Begin { slot, anew: false, at: Timestamp(0) }).unwrap();
    let vault = Vault::new(engine, room.places.clone());
    assert_eq!(code(vault.set("a", &Secret::new("x"))), "vault_key_wrong");
}

#[test]
fn a_named_key_file_is_read_and_never_made() {
    let mut room = Room::new();
    let named = room.places.own.with_file_name("named.key");
    room.places.named = Some(named.clone());
    assert_eq!(code(room.vault().set("a", &Secret::new("one"))), "vault_key_missing");
    assert!(!named.exists() && !room.places.own.exists());
    keyfile::create(&named).unwrap();
    room.vault().set("a", &Secret::new("one")).unwrap();
    assert_eq!(room.vault().get("a").unwrap().unwrap().reveal(), "one");
    assert!(!room.places.own.exists());
    room.places.named = None;
    assert_eq!(code(room.vault().get("a")), "vault_key_missing");
}

#[test]
fn another_data_key_is_noticed_without_a_restart() {
    let room = Room::new();
    let running = room.vault();
    running.set("a", &Secret::new("one")).unwrap();
    let was = running.key().unwrap().unwrap();
    let new = DataKey::generate();
    let wrapping = keyfile::read(&room.places.own).unwrap().unwrap();
    let slots = vec![Slot::new("new".into(), Guard::KeyFile { path: None }, &wrapping, &new)];
    let bytes = seal(&new, &secrets::aad("a"), b"two");
    let values = vec![("a".to_string(), Sealed { key: new.fingerprint(), bytes })];
    let rekey = Request::Rekey { was: was.fingerprint(), slots, values, at: Timestamp(1) };
    room.engine.ask(rekey).unwrap();
    assert_eq!(running.get("a").unwrap().unwrap().reveal(), "two");
}

#[test]
fn two_who_start_at_once_share_one_vault() {
    let room = Room::new();
    let (first, second) = (room.vault(), room.vault());
    // Both saw an empty vault; the second to commit takes over what the first made.
    let one = first.begin(false).unwrap();
    let two = second.begin(false).unwrap();
    assert_eq!(one.fingerprint(), two.fingerprint());
}

#[test]
fn a_locked_vault_says_so_until_the_key_is_brought() {
    let room = Room::new();
    let guard = Guard::Passphrase { salt: b"0123456789abcdef".to_vec(), memory_kib: 64, passes: 1 };
    let wrapping = slots::derive(&Secret::new("p"), b"0123456789abcdef", 64, 1).unwrap();
    let key = DataKey::generate();
    let slot = Slot::new("s".into(), guard, &wrapping, &key);
    room.engine.ask(Request::Begin { slot, anew: false, at: Timestamp(0) }).unwrap();
    let vault = room.vault();
    assert_eq!(code(vault.set("a", &Secret::new("x"))), "vault_locked");
    assert_eq!(code(vault.unlock(DataKey::generate())), "vault_key_wrong");
    vault.unlock(key).unwrap();
    vault.set("a", &Secret::new("x")).unwrap();
    assert_eq!(vault.get("a").unwrap().unwrap().reveal(), "x");
    vault.forget();
    assert_eq!(code(vault.get("a")), "vault_locked");
}

#[test]
fn a_backup_holds_sealed_values_only_and_opens_with_the_same_key() {
    let mut room = Room::new();
    let folder = room.places.own.parent().unwrap().to_path_buf();
    fs::create_dir_all(&folder).unwrap();
    let store = Store::open(&folder.join("store.redb"), Timestamp(0)).unwrap();
    room.engine = Engine::new(store.clone(), Clock::System);
    room.vault().set("a", &Secret::new("canary-in-a-backup")).unwrap();
    let copy = folder.join("copy.redb");
    store.backup(&copy).unwrap();
    let bytes = fs::read(&copy).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
    let engine = Engine::new(Store::open(&copy, Timestamp(0)).unwrap(), Clock::System);
    let vault = Vault::new(engine, room.places.clone());
    assert_eq!(vault.get("a").unwrap().unwrap().reveal(), "canary-in-a-backup");
}

#[cfg(unix)]
#[test]
fn a_program_can_hold_the_key() {
    let room = Room::new();
    let wrapping = keyfile::create(&room.places.own).unwrap();
    let key = DataKey::generate();
    let words = vec!["cat".to_string(), room.places.own.display().to_string()];
    let slot = Slot::new("s".into(), Guard::Command { words }, &wrapping, &key);
    room.engine.ask(Request::Begin { slot, anew: false, at: Timestamp(0) }).unwrap();
    room.vault().set("a", &Secret::new("x")).unwrap();
    assert_eq!(room.vault().get("a").unwrap().unwrap().reveal(), "x");
    fs::remove_file(&room.places.own).unwrap();
    assert_eq!(code(room.vault().get("a")), "vault_key_missing");
}

fn set_private(path: &Path) {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let _ = path;
}
