//! The noun on a store in memory: readings that go on, break off and begin again; names, ratings, sources.

use super::*;
use crate::store::Store;
use model::Package;

fn entry(name: &str, package: &str) -> Entry {
    let package = Package { name: package.into(), ..Package::default() };
    Entry {
        name: name.into(),
        description: "A thing".into(),
        ways: vec![Way::Npm(package)],
        ..Entry::default()
    }
}

fn run(store: &Store, request: Request) -> Result<Reply> {
    match request.writes() {
        true => store.write(|tx| write(tx, request.clone())),
        false => store.read(|tx| read(tx, &request)),
    }
}

fn with_sources() -> Store {
    let store = Store::memory();
    for (name, origin) in [
        ("team", Origin::File { path: "/x".into() }),
        ("reg", Origin::Registry { url: "https://r.example.com".into() }),
    ] {
        run(&store, Request::AddSource { source: Box::new(Source::new(name, origin)) }).unwrap();
    }
    store
}

fn begin(store: &Store, name: &str, full: bool) -> Source {
    match run(store, Request::Begin { name: name.into(), full }).unwrap() {
        Reply::Source(source) => *source,
        other => panic!("{other:?}"),
    }
}

fn take(store: &Store, name: &str, entries: Vec<Entry>, cursor: Option<&str>, newest: &str) {
    let since = begin_since(store, name);
    let pending = Pending { cursor: cursor.map(String::from), since, newest: Some(newest.into()) };
    run(store, Request::Take { name: name.into(), entries, removed: vec![], pending }).unwrap();
}

fn begin_since(store: &Store, name: &str) -> Option<String> {
    source(store, name).pending.and_then(|pending| pending.since)
}

fn source(store: &Store, name: &str) -> Source {
    store.read(|tx| rows::source(tx, name)).unwrap()
}

fn finish(store: &Store, name: &str) -> Source {
    match run(store, Request::Finish { name: name.into(), at: Timestamp(9) }).unwrap() {
        Reply::Source(source) => *source,
        other => panic!("{other:?}"),
    }
}

fn keys(store: &Store, words: &str, source: Option<&str>) -> Vec<String> {
    let query = Query { words: words.into(), source: source.map(String::from), limit: 5, ..Query::default() };
    match run(store, Request::Search(query)).unwrap() {
        Reply::Found(found) => found.entries.iter().map(Listed::key).collect(),
        other => panic!("{other:?}"),
    }
}

fn named(store: &Store, name: &str) -> Result<Vec<String>> {
    match run(store, Request::Named { name: name.into(), source: None })? {
        Reply::Entries(found) => Ok(found.iter().map(Listed::key).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_bundled_list_is_there_without_a_store() {
    let store = Store::memory();
    assert_eq!(keys(&store, "playwright", None)[0], "bundled/playwright");
    assert_eq!(named(&store, "playwright").unwrap(), ["bundled/playwright"]);
    assert!(store.read(names).unwrap().is_none());
}

#[test]
fn a_reading_that_breaks_off_goes_on() {
    let store = with_sources();
    assert_eq!(begin(&store, "reg", false).round, 1);
    take(&store, "reg", vec![entry("a.b/one", "one")], Some("p2"), "2026-01-01T00:00:00Z");
    // Broken off here: what came is kept, and the next reading begins at its page.
    let again = begin(&store, "reg", false);
    assert_eq!(again.pending.unwrap().cursor.as_deref(), Some("p2"));
    assert_eq!(again.round, 1);
    take(&store, "reg", vec![entry("a.b/two", "two")], None, "2026-01-02T00:00:00Z");
    let done = finish(&store, "reg");
    assert_eq!((done.entries, done.pending, done.refreshed), (2, None, Some(Timestamp(9))));
    assert_eq!(done.watermark.as_deref(), Some("2026-01-02T00:00:00Z"));
    // The next one asks for changes alone, and takes nothing away that it did not see.
    let next = begin(&store, "reg", false);
    assert_eq!(next.pending.unwrap().since.as_deref(), Some("2026-01-02T00:00:00Z"));
    take(&store, "reg", vec![entry("a.b/three", "three")], None, "2026-01-03T00:00:00Z");
    assert_eq!(finish(&store, "reg").entries, 3);
    // A whole one does.
    assert_eq!(begin(&store, "reg", true).pending, Some(Pending::default()));
    take(&store, "reg", vec![entry("a.b/two", "two")], None, "2026-01-03T00:00:00Z");
    assert_eq!(finish(&store, "reg").entries, 1);
    assert_eq!(keys(&store, "", Some("reg")), ["reg/a.b/two"]);
    assert!(store.read(names).unwrap().unwrap().contains("reg/a.b/two\n"));
}

#[test]
fn what_is_gone_is_found_no_more() {
    let store = with_sources();
    begin(&store, "reg", false);
    take(&store, "reg", vec![entry("a.b/one", "one"), entry("a.b/two", "two")], None, "2026-01-01T00:00:00Z");
    finish(&store, "reg");
    begin(&store, "reg", false);
    let pending = Pending { since: Some("x".into()), ..Pending::default() };
    let removed = vec!["a.b/one".into(), "a.b/never".into()];
    run(&store, Request::Take { name: "reg".into(), entries: vec![], removed, pending }).unwrap();
    // The shelf is older than the rows here.
    assert_eq!(keys(&store, "", Some("reg")), ["reg/a.b/two"]);
    assert_eq!(finish(&store, "reg").entries, 1);
    assert!(named(&store, "a.b/one").unwrap_err().is(&codes::ENTRY_NOT_FOUND));
}

#[test]
fn a_name_is_found_whole_or_by_its_end_in_every_source() {
    let store = with_sources();
    for name in ["team", "reg"] {
        begin(&store, name, true);
        take(
            &store,
            name,
            vec![entry("io.x/notes", name), entry("playwright", "@playwright/mcp")],
            None,
            "2026-01-01T00:00:00Z",
        );
        finish(&store, name);
    }
    assert_eq!(named(&store, "io.x/notes").unwrap(), ["reg/io.x/notes", "team/io.x/notes"]);
    assert_eq!(named(&store, "NOTES").unwrap().len(), 2);
    assert_eq!(named(&store, "team/io.x/notes").unwrap(), ["team/io.x/notes"]);
    assert_eq!(named(&store, "playwright").unwrap()[0], "bundled/playwright");
    let slip = named(&store, "playwrihgt").unwrap_err();
    assert_eq!(
        (slip.code, slip.hints),
        (&codes::ENTRY_NOT_FOUND, vec!["did you mean `playwright`?".to_string()])
    );
    // The same server from three sources is shown once.
    let query = Query { words: "playwright".into(), limit: 5, ..Query::default() };
    let Reply::Found(found) = run(&store, Request::Search(query)).unwrap() else { panic!("no search") };
    let first = &found.entries[0];
    assert_eq!((first.key().as_str(), first.also.len()), ("bundled/playwright", 2));
}

#[test]
fn a_source_is_disabled_enabled_and_removed() {
    let store = with_sources();
    begin(&store, "team", true);
    take(&store, "team", vec![entry("quasar", "q")], None, "x");
    finish(&store, "team");
    assert_eq!(keys(&store, "quasar", None), ["team/quasar"]);
    run(&store, Request::EnableSource { name: "team".into(), enabled: false }).unwrap();
    assert_eq!(keys(&store, "quasar", None), [] as [&str; 0]);
    assert!(named(&store, "quasar").is_err());
    run(&store, Request::EnableSource { name: "team".into(), enabled: true }).unwrap();
    run(&store, Request::EnableSource { name: "bundled".into(), enabled: false }).unwrap();
    assert_eq!(keys(&store, "quasar", None), ["team/quasar"]);
    assert_eq!(keys(&store, "playwright", None), [] as [&str; 0]);
    run(&store, Request::RemoveSource { name: "team".into() }).unwrap();
    assert_eq!(keys(&store, "quasar", None), [] as [&str; 0]);
    let refused = run(&store, Request::RemoveSource { name: "official".into() }).unwrap_err();
    assert_eq!(refused.hints, ["umcp catalog source disable official"]);
    let unknown = run(&store, Request::RemoveSource { name: "regg".into() }).unwrap_err();
    assert_eq!(
        (unknown.code, unknown.hints),
        (&codes::SOURCE_NOT_FOUND, vec!["did you mean `reg`?".to_string()])
    );
    let twice = Source::new("reg", Origin::Bundled);
    assert!(
        run(&store, Request::AddSource { source: Box::new(twice) }).unwrap_err().is(&codes::SOURCE_EXISTS)
    );
}

#[test]
fn a_rating_is_kept_and_taken_back() {
    let store = with_sources();
    let rating = |key: &str, stars| Rating { key: key.into(), stars, comment: None, at: Timestamp(1) };
    begin(&store, "team", true);
    let alike = ["a", "b", "c"].map(|name| entry(&format!("quasar-{name}"), name));
    take(&store, "team", alike.to_vec(), None, "x");
    finish(&store, "team");
    assert_eq!(keys(&store, "quasar", None), ["team/quasar-a", "team/quasar-b", "team/quasar-c"]);
    run(&store, Request::Rate { rating: rating("team/quasar-b", 5) }).unwrap();
    run(&store, Request::Rate { rating: rating("team/quasar-a", 1) }).unwrap();
    assert_eq!(keys(&store, "quasar", None), ["team/quasar-b", "team/quasar-c", "team/quasar-a"]);
    let again = Request::Unrate { key: "team/quasar-a".into() };
    run(&store, again.clone()).unwrap();
    assert!(run(&store, again).unwrap_err().is(&codes::ENTRY_NOT_FOUND));
    let Reply::Ratings(left) = run(&store, Request::Ratings).unwrap() else { panic!("no ratings") };
    assert_eq!(left, [rating("team/quasar-b", 5)]);
}

#[test]
fn a_source_has_an_end() {
    let store = with_sources();
    begin(&store, "reg", true);
    let mut full = source(&store, "reg");
    full.entries = MOST_ENTRIES * 2;
    store.write(|tx| tx.put(&SOURCES, "reg", &full)).unwrap();
    let more = Request::Take {
        name: "reg".into(),
        entries: vec![entry("a.b/c", "c")],
        removed: vec![],
        pending: Pending::default(),
    };
    assert!(run(&store, more).unwrap_err().is(&codes::SOURCE_INVALID));
}
