//! Prices of records, to the last digit.

use super::super::record::tests::call;
use super::super::record::{Detail, Entity};
use super::*;
use crate::store::Store;
use proptest::prelude::{prop_assert_eq, proptest};

const BOOK: &str = "
prices:
  - name: sentiment
    entities: ['skill:sentiment*']
    tokens: {input: 0.01, output: 0.03}
    api_calls: 0.001
    compute_hours: 0.50
  - {name: old, models: [m], tokens: {input: 1, output: 1}, until: 2026-01-01}
  - {name: new, models: [m], tokens: {input: 2, output: 2}, from: 2026-01-01}
  - {name: git, entities: ['git.*'], api_calls: '0.25'}
";

fn current(text: &str) -> Current {
    Current { version: 7, compiled: file::parse("prices.yaml", text).unwrap().compile().unwrap() }
}

fn skill(input: u64, output: u64, api_calls: u64, duration_us: u64) -> Call {
    let tokens = Some(Tokens { input, output });
    let api_calls = Some(api_calls);
    let detail = Detail { entity: Entity::Skill, tokens, api_calls, ..Detail::default() };
    Call { server: String::new(), tool: "sentiment-analysis".into(), duration_us, detail, ..call(0) }
}

/// 1,500 tokens, 3 calls and 450 ms at 0.01 and 0.03 for 1,000 tokens, 0.001 for a call and 0.50 for an hour.
#[test]
fn the_example_of_the_plan_costs_exactly_what_it_says() {
    let parts = current(BOOK).parts(Timestamp(0), &skill(1125, 375, 3, 450_000));
    let costs: Vec<String> = parts.iter().map(|line| format!("{} {}", line.part.word(), line.cost)).collect();
    let expected = ["input tokens 0.01125", "output tokens 0.01125", "calls 0.003", "compute time 0.0000625"];
    assert_eq!(costs, expected);
    let tokens: Pico = parts[..2].iter().map(|line| line.cost).sum();
    assert_eq!(tokens.to_string(), "0.0225");
    let cost = current(BOOK).cost(Timestamp(0), &skill(1125, 375, 3, 450_000)).unwrap();
    assert_eq!((cost.pico.to_string().as_str(), cost.version), ("0.0255625", Some(7)));
}

#[test]
fn the_first_price_that_applies_counts() {
    let book = current(BOOK);
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let of_model = |model: &str| {
        let detail = Detail {
            model: Some(model.into()),
            tokens: Some(Tokens { input: 1000, output: 0 }),
            ..Detail::default()
        };
        Call { detail, ..call(0) }
    };
    let cost = |time: &str, call: &Call| book.cost(at(time), call).map(|cost| cost.pico.to_string());
    assert_eq!(cost("2025-12-31T23:59:59Z", &of_model("m")).as_deref(), Some("1"));
    assert_eq!(cost("2026-01-01T00:00:00Z", &of_model("m")).as_deref(), Some("2"));
    assert_eq!(cost("2026-01-01T00:00:00Z", &of_model("x")), None, "what has no price has no cost");
    let git = Call { server: "git".into(), ..of_model("m") };
    assert_eq!(cost("2026-02-01T00:00:00Z", &git).as_deref(), Some("2.25"));
    assert_eq!(cost("2026-02-01T00:00:00Z", &Call { cached: true, ..git }).as_deref(), Some("2"));
}

#[test]
fn a_book_is_kept_with_its_versions() {
    let store = Store::memory();
    let put = |text: &str, replace| {
        let book = Box::new(file::parse("p.yaml", text).unwrap());
        store.write(|tx| write(tx, Request::Put { book, replace, now: Timestamp(1) }))
    };
    let shown = |reply: Reply| match reply {
        Reply::Book { version, book, .. } => {
            (version, book.prices.into_iter().map(|price| price.name).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(put("prices: [{name: a, api_calls: 1}]", false).unwrap()), (1, vec!["a".into()]));
    let two = put("prices: [{name: b, api_calls: 1}]", false).unwrap();
    assert_eq!(shown(two), (2, vec!["b".into(), "a".into()]));
    let delete = |name: &str| {
        let names = vec![name.to_string()];
        store.write(|tx| write(tx, Request::Delete { names, now: Timestamp(1) }))
    };
    assert!(delete("x").unwrap_err().is(&codes::PRICE_NOT_FOUND));
    assert_eq!(shown(delete("a").unwrap()), (3, vec!["b".into()]));
    assert_eq!(shown(put("prices: []", true).unwrap()), (4, vec![]));
    let rows = store.read(|tx| tx.count(&PRICES)).unwrap();
    assert_eq!(rows, 5);
}

#[test]
fn what_is_no_price_is_refused_with_its_place() {
    for (text, code) in [
        ("prices: [{name: a}]", &codes::PRICE_INVALID),
        ("prices: [{api_calls: 1}]", &codes::PRICE_INVALID),
        ("prices: [{name: a, api_calls: -1}]", &codes::PRICE_INVALID),
        ("prices: [{name: a, api_calls: 1e300}]", &codes::FILE_INVALID),
        ("prices: [{name: a, api_calls: .nan}]", &codes::FILE_INVALID),
        ("prices: [{name: a, api_calls: 1000001}]", &codes::PRICE_INVALID),
        ("prices: [{name: a, api_calls: cheap}]", &codes::FILE_INVALID),
        ("prices: [{name: a, api_calls: 1, from: soon}]", &codes::PRICE_INVALID),
        ("prices: [{name: a, api_calls: 1, from: 2026-02-01, until: 2026-01-01}]", &codes::PRICE_INVALID),
        ("prices: [{name: a, api_calls: 1}, {name: a, api_calls: 1}]", &codes::PRICE_INVALID),
        ("currency: EUR", &codes::PRICE_INVALID),
        ("prices: [{name: a, api_cals: 1}]", &codes::FIELD_UNKNOWN),
    ] {
        let error = file::parse("p.yaml", text).unwrap_err();
        assert!(error.is(code) && error.span.is_some(), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn a_cost_is_the_exact_product_rounded_half_up(tokens: u64, cents in 0i128..100_000_000) {
        let each = Pico(cents * 10_000_000_000);
        let exact = i128::from(tokens) * each.0;
        prop_assert_eq!(Part::InputTokens.cost(tokens, each).0, exact / 1000 + i128::from(exact % 1000 >= 500));
    }
}
