//! How well tools are found: a small edition of `benches/search.rs`, quick enough for every run of the tests.
//! The floors lie a little below what was measured, so that a change that finds less is seen.

#[path = "../../benches/corpus.rs"]
mod corpus;

use corpus::{Kind, Recall};
use std::collections::BTreeMap;
use umcp::search::Index;

/// Shares of questions whose tool must be first, and among the first ten.
const FLOORS: &[(Kind, f64, f64)] = &[
    (Kind::Synonyms, 0.28, 0.70),
    (Kind::Order, 0.88, 0.97),
    (Kind::Typo, 0.84, 0.97),
    (Kind::Partial, 0.90, 0.97),
    (Kind::Sentence, 0.35, 0.84),
    (Kind::NoServer, 0.38, 0.66),
];

#[test]
fn hard_questions_find_their_tool() {
    let tools = corpus::tools(2_000);
    let fields = corpus::fields(&tools);
    let index = Index::build(corpus::documents(&tools, &fields));
    let mut kinds: BTreeMap<Kind, Recall> = BTreeMap::new();
    for question in corpus::questions(&tools, 200) {
        let hits = index.search(&question.text, 10, &|_| 0.0);
        let place = hits.iter().position(|hit| hit.doc == question.answer);
        kinds.entry(question.kind).or_default().count(place);
    }
    let measured: Vec<(Kind, f64, f64)> = kinds
        .iter()
        .map(|(kind, recall)| (*kind, recall.share(recall.first), recall.share(recall.ten)))
        .collect();
    assert_eq!(measured.len(), FLOORS.len());
    for ((kind, first, ten), floor) in measured.iter().zip(FLOORS) {
        assert_eq!(*kind, floor.0);
        assert!(*first >= floor.1 && *ten >= floor.2, "{kind:?} fell below {floor:?}: {measured:.2?}");
    }
}

#[test]
fn every_tool_is_found_first_by_the_name_it_is_exposed_under() {
    let tools = corpus::tools(500);
    let fields = corpus::fields(&tools);
    let index = Index::build(corpus::documents(&tools, &fields));
    for (number, tool) in tools.iter().enumerate() {
        let first = index.search(&tool.key, 1, &|doc| if doc == number { 0.0 } else { 1.0 });
        assert_eq!(first.first().map(|hit| hit.doc), Some(number), "{}", tool.key);
    }
}
