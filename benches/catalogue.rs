//! How fast 20,000 entries of catalogues are searched: `cargo bench --bench catalogue`.
//! A plain program: the search alone, and all that `umcp catalog search` does with the store beside it.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark reports on standard output")]

#[allow(dead_code, reason = "the other half of this world belongs to the benchmark of the tools")]
mod corpus;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use umcp::catalogue::model::Package;
use umcp::catalogue::{self, Entry, Origin, Pending, Query, Request, Shelf, Source, Way};
use umcp::clock::{Clock, Timestamp};
use umcp::engine::{Engine, StoreRequest};
use umcp::store::{ReadOnly, Store};

const ENTRIES: usize = 20_000;
const QUESTIONS: usize = 1_000;
const GOAL: Duration = Duration::from_millis(5);

/// The made-up tools as servers of two publishers each.
fn entries() -> Vec<Entry> {
    let tools = corpus::tools(ENTRIES / 2);
    let entry = |half: &str, tool: &corpus::Tool| Entry {
        name: format!("io.github.{half}{}/{}", tool.server, tool.name),
        title: Some(tool.title.clone()),
        description: tool.description.clone(),
        ways: vec![Way::Npm(Package {
            name: format!("@{half}{}/{}", tool.server, tool.name),
            ..Package::default()
        })],
        ..Entry::default()
    };
    let mut all: Vec<Entry> =
        tools.iter().map(|tool| entry("a", tool)).chain(tools.iter().map(|tool| entry("b", tool))).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn told(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what} p50 {:.0?}, p99 {:.0?}, worst {:.0?} ({} searches)",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
    at(0.99)
}

fn main() {
    let entries = entries();
    let keyed: Vec<(String, &Entry)> =
        entries.iter().map(|entry| (format!("reg/{}", entry.name), entry)).collect();
    let start = Instant::now();
    let shelf = Shelf::build(1, &keyed);
    println!("build    {} entries in {:.0?}", shelf.len(), start.elapsed());

    let tools = corpus::tools(ENTRIES / 2);
    let queries: Vec<Query> = corpus::questions(&tools, QUESTIONS)
        .into_iter()
        .map(|question| Query { words: question.text, limit: 50, ..Query::default() })
        .collect();
    let stars = HashMap::from([(keyed[7].0.clone(), 5), (keyed[70].0.clone(), 1)]);
    let timed = |query: &Query| {
        let start = Instant::now();
        std::hint::black_box(shelf.search(query, &stars));
        start.elapsed()
    };
    let alone = told("search  ", queries.iter().map(timed).collect());
    let listed = Query { limit: 50, ..Query::default() };
    let listing = told("list    ", (0..100).map(|_| timed(&listed)).collect());
    let filtered = |query: &Query| timed(&Query { source: Some("reg".into()), all: true, ..query.clone() });
    let filtering = told("filtered", queries.iter().map(filtered).collect());

    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("catalogue-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let path = dir.join("store.redb");
    fill(&path, entries);
    let whole = |query: &Query| {
        let start = Instant::now();
        let ReadOnly::Open(store) = Store::open_read_only(&path).unwrap() else {
            panic!("the store is not open")
        };
        let engine = Engine::new(store, Clock::System);
        let query = Query { limit: 20, ..query.clone() };
        std::hint::black_box(engine.call(StoreRequest::Catalogue(Request::Search(query))).unwrap());
        start.elapsed()
    };
    told("with its store", queries.iter().take(200).map(whole).collect());
    fs::remove_dir_all(&dir).unwrap();
    if alone.max(listing).max(filtering) > GOAL {
        println!("too slow: the goal is p99 {GOAL:.0?}");
        std::process::abort();
    }
}

/// A store that a refresh has filled.
fn fill(path: &Path, entries: Vec<Entry>) {
    let engine = Engine::new(Store::open(path, Timestamp(1)).unwrap(), Clock::System);
    let ask = |request: catalogue::Request| engine.call(StoreRequest::Catalogue(request)).unwrap();
    let start = Instant::now();
    let name = "reg".to_string();
    let origin = Origin::Registry { url: "https://r.example.com".into() };
    ask(Request::AddSource { source: Box::new(Source::new("reg", origin)) });
    ask(Request::Begin { name: name.clone(), full: true });
    for part in entries.chunks(100) {
        let pending = Pending::default();
        ask(Request::Take { name: name.clone(), entries: part.to_vec(), removed: Vec::new(), pending });
    }
    let read = start.elapsed();
    ask(Request::Finish { name, at: Timestamp(2) });
    println!(
        "keep     {} pages in {read:.0?}, the last step {:.0?}",
        entries.len() / 100,
        start.elapsed() - read
    );
    engine.store().clone().close().unwrap();
    println!("store    {} KiB", fs::metadata(path).unwrap().len() / 1024);
}
