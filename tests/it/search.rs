//! How well tools are found: a small edition of `benches/search.rs`, quick enough for every run of the tests.
//! The floors lie a little below what was measured, so that a change that finds less is seen.

#[path = "../../benches/corpus.rs"]
mod corpus;

use umcp::search::Index;

#[test]
fn hard_questions_find_their_tool() {
    let tools = corpus::tools(2_000);
    let fields = corpus::fields(&tools);
    let index = Index::build(corpus::documents(&tools, &fields));
    let mut recall = corpus::Recall::default();
    for question in corpus::questions(&tools, 200) {
        let hits = index.search(&question.text, 10, &|_| 0.0);
        recall.count(hits.iter().position(|hit| hit.doc == question.answer));
    }
    let shares = [recall.first, recall.five, recall.ten].map(|count| recall.share(count));
    println!("recall @1 {:.3} @5 {:.3} @10 {:.3}", shares[0], shares[1], shares[2]);
    assert!(shares[0] >= 0.50 && shares[1] >= 0.60 && shares[2] >= 0.70, "{shares:?}");
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
