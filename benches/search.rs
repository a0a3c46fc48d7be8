//! How fast and how well 10,000 tools are searched: `cargo bench --bench search`.
//! A plain program: times of every single search, recall by kind of question, size and build time of the index.
//! `-- --misses` lists the questions whose answer was not the first, with what was.
#![allow(clippy::print_stdout, reason = "a benchmark reports on standard output")]

mod corpus;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use umcp::search::Index;

const TOOLS: usize = 10_000;
const QUESTIONS: usize = 1_000;
const ROUNDS: usize = 5;

fn main() {
    let tools = corpus::tools(TOOLS);
    let fields = corpus::fields(&tools);
    let questions = corpus::questions(&tools, QUESTIONS);

    let start = Instant::now();
    let index = Index::build(corpus::documents(&tools, &fields));
    println!("build    {} tools in {:.0?}, {} KiB", index.len(), start.elapsed(), index.heap_bytes() / 1024);

    let prior = |doc: usize| if doc.is_multiple_of(17) { 0.5 } else { 0.0 };
    let mut times = Vec::with_capacity(ROUNDS * QUESTIONS);
    for _ in 0..ROUNDS {
        for question in &questions {
            let start = Instant::now();
            std::hint::black_box(index.search(&question.text, 10, &prior));
            times.push(start.elapsed());
        }
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let (p50, p99, worst) = (at(0.5), at(0.99), at(1.0));
    println!("search   p50 {p50:.0?}, p99 {p99:.0?}, worst {worst:.0?} ({} searches)", times.len());

    // Words that nobody wrote are the dearest: each is compared with the whole dictionary.
    let letter = |number: u8| char::from(b'a' + number % 26);
    let strange: Vec<String> =
        (0..32).map(|number| format!("quersi{}tro{}n", letter(number), letter(number / 2))).collect();
    let start = Instant::now();
    std::hint::black_box(index.search(&strange.join(" "), 10, &prior));
    println!("strange  32 unknown words in {:.0?}", start.elapsed());

    let misses = std::env::args().any(|argument| argument == "--misses");
    let mut kinds: BTreeMap<String, corpus::Recall> = BTreeMap::new();
    for question in &questions {
        let hits = index.search(&question.text, 10, &|_| 0.0);
        let place = hits.iter().position(|hit| hit.doc == question.answer);
        for kind in [format!("{:?}", question.kind), "all".to_owned()] {
            kinds.entry(kind).or_default().count(place);
        }
        if misses && place != Some(0) {
            let first = hits.first().map_or("nothing", |hit| &tools[hit.doc].key);
            println!(
                "miss     {:?}: {} -> {} before {}",
                question.kind, question.text, first, tools[question.answer].key
            );
        }
    }
    for (kind, recall) in &kinds {
        let [first, five, ten] =
            [recall.first, recall.five, recall.ten].map(|count| 100.0 * recall.share(count));
        println!(
            "recall   {kind:<9} @1 {first:5.1} %   @5 {five:5.1} %   @10 {ten:5.1} %   of {}",
            recall.asked
        );
    }
    if p50 > Duration::from_millis(1) || p99 > Duration::from_millis(3) {
        println!("too slow: the goal is p50 1 ms and p99 3 ms");
        std::process::abort();
    }
}
