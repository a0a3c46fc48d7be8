//! How fast and how well texts are found by meaning: `cargo bench --bench embedding`.
//! A plain program: times of encoding and searching, recall on 302 paraphrased questions among 1,302 memories, beside BM25.
//! With `-- --reference FILE` (made by `assets/embedding/make.py --texts ... --vectors FILE` from what `-- --texts` prints)
//! also the cosines to the published model and its recall.
#![allow(clippy::print_stdout, reason = "a benchmark reports on standard output")]

mod distractors;

use std::hint::black_box;
use std::time::{Duration, Instant};
use umcp::embedding::{DIMENSIONS, Encoder, Vector, Vectors, nearest};
use umcp::search::{Document, Field, Index};

type Values = [f32; DIMENSIONS];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let set: Vec<(&str, &str)> = include_str!("memories.txt")
        .lines()
        .map(|line| line.split_once(" | ").expect("a question"))
        .collect();
    let memories: Vec<String> =
        set.iter().map(|(memory, _)| (*memory).to_owned()).chain(distractors::texts()).collect();
    let texts: Vec<&str> =
        memories.iter().map(String::as_str).chain(set.iter().map(|(_, ask)| *ask)).collect();
    if arguments.iter().any(|argument| argument == "--texts") {
        texts.iter().for_each(|text| println!("{text}"));
        return;
    }
    let encoder = Encoder::built_in().expect("a build with the feature `embed-model`");
    speed(encoder);
    let own = encode_all(encoder, &texts);
    let (kept, asked) = own.split_at(memories.len());
    words(&memories, &set);
    recall("encoder", kept, asked);
    if let Some(at) = arguments.iter().position(|argument| argument == "--reference") {
        let file = std::fs::read(&arguments[at + 1]).expect("the file of reference vectors");
        let reference = read(&file);
        compare(&own, &reference);
        let (kept, asked) = reference.split_at(memories.len());
        recall("reference", kept, asked);
    }
    for count in [1_000, 20_000, 100_000] {
        searches(count, &own);
    }
}

fn read(file: &[u8]) -> Vec<Values> {
    let floats: Vec<f32> = file.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    floats.as_chunks::<DIMENSIONS>().0.to_vec()
}

fn encode_all(encoder: &Encoder, texts: &[&str]) -> Vec<Values> {
    let (left, right) = texts.split_at(texts.len() / 2);
    let encode = |texts: &[&str]| texts.iter().map(|text| encoder.encode(text)).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| encode(left));
        let second = encode(right);
        let mut all = first.join().expect("no panic");
        all.extend(second);
        all
    })
}

/// Shortest and middle time of many runs.
fn times(runs: usize, mut work: impl FnMut(usize)) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..runs)
        .map(|run| {
            let start = Instant::now();
            work(run);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[0], times[runs / 2])
}

fn speed(encoder: &Encoder) {
    for tokens in [8, 16, 60, 256] {
        // Each "a" is a token, and two stand around them.
        let text = "a ".repeat(tokens - 2);
        let (least, middle) = times(50, |_| {
            black_box(encoder.encode(&text));
        });
        println!("encode   {tokens:3} tokens: p50 {middle:.2?}, least {least:.2?}");
    }
    let text = "a ".repeat(58);
    let start = Instant::now();
    black_box(encode_all(encoder, &vec![text.as_str(); 1_000]));
    println!("encode   1,000 texts of 60 tokens on two threads: {:.2?}", start.elapsed());
}

fn show(name: &str, ranks: &[Option<usize>]) {
    let share = |within: usize| {
        let found = ranks.iter().filter(|rank| rank.is_some_and(|rank| rank < within)).count();
        found as f64 * 100.0 / ranks.len() as f64
    };
    println!("{name:9} recall@1 {:.1} %, recall@5 {:.1} %, recall@10 {:.1} %", share(1), share(5), share(10));
}

fn recall(name: &str, kept: &[Values], asked: &[Values]) {
    let vectors: Vec<Vector> = kept.iter().map(Vector::quantize).collect();
    let rank = |(at, query)| nearest(query, &vectors, 10).iter().position(|found| found.index == at);
    show(name, &asked.iter().enumerate().map(rank).collect::<Vec<_>>());
}

fn words(memories: &[String], set: &[(&str, &str)]) {
    let fields: Vec<_> = memories.iter().map(|memory| [(Field::Description, memory.as_str())]).collect();
    let index = Index::build(fields.iter().map(|fields| Document { key: "", fields }));
    let rank = |(at, (_, ask)): (usize, &(&str, &str))| {
        index.search(ask, 10, &|_| 0.0).iter().position(|hit| hit.doc == at)
    };
    show("BM25", &set.iter().enumerate().map(rank).collect::<Vec<_>>());
}

fn compare(own: &[Values], reference: &[Values]) {
    assert_eq!(own.len(), reference.len(), "the reference is of other texts");
    let product = |(a, b): (&Values, &Values)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let mut cosines: Vec<f32> = own.iter().zip(reference).map(product).collect();
    cosines.sort_unstable_by(f32::total_cmp);
    let median = cosines[cosines.len() / 2];
    println!("cosine   of {} texts: least {:.5}, median {median:.5}", cosines.len(), cosines[0]);
}

/// Real vectors, each moved a little in a direction of its own, up to the number wanted.
fn searches(count: usize, own: &[Values]) {
    let mut state = 9u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.06
    };
    let mut flat = Vec::with_capacity(count);
    let mut vectors = Vectors::default();
    for at in 0..count {
        let moved = own[at % own.len()].map(|value| value + noise());
        flat.push(Vector::quantize(&moved));
        vectors.push(Vector::quantize(&moved));
    }
    let queries: Vec<&Values> = own.iter().step_by(own.len() / 100).take(100).collect();
    let exact: Vec<_> = queries.iter().map(|query| nearest(query, &flat, 10)).collect();
    let found = queries.iter().zip(&exact).map(|(query, exact)| {
        let quick = vectors.nearest(query, 10, |_| true);
        exact.iter().filter(|one| quick.iter().any(|other| other.index == one.index)).count()
    });
    let recall = found.sum::<usize>() as f64 / (10 * queries.len()) as f64;
    let (least, middle) = times(200, |run| {
        black_box(nearest(queries[run % 100], &flat, 10));
    });
    println!("search   {count} vectors, each: p50 {middle:.0?}, least {least:.0?}");
    let (least, middle) = times(200, |run| {
        black_box(vectors.nearest(queries[run % 100], 10, |_| true));
    });
    println!(
        "search   {count} vectors, signatures: p50 {middle:.0?}, least {least:.0?}, recall@10 {recall:.4}"
    );
}
