//! What expressions give, what they refuse and where, and what bounds them.

use super::{Expression, Fault, Names, Scope, Template, mask};
use proptest::prelude::{ProptestConfig, proptest};
use serde_json::{Value, json};

fn scope() -> Names {
    let scope = json!({
        "inputs": {"email": "ada@example.org", "name": "Ada", "count": 3, "tags": ["a", "b"], "empty": null, "ratio": 0.25},
        "steps": {
            "analyze-sentiment": {"result": {"score": 0.2, "words": ["bad", "slow"]}},
            "create-account": {"result": {"id": "u-1"}},
        },
    });
    match scope {
        Value::Object(map) => map,
        _ => unreachable!(),
    }
}

fn value(source: &str) -> Result<Value, Fault> {
    Expression::parse(source)?.evaluate(&Scope::new(&scope()))
}

#[test]
fn values_keep_their_types() {
    let cases = [
        ("steps.create-account.result.id", json!("u-1")),
        ("steps.analyze-sentiment.result.score < 0.3", json!(true)),
        ("inputs.count + 1", json!(4)),
        ("inputs.count - 1", json!(2)),
        ("inputs.count*2 + 1", json!(7)),
        ("7 / 2", json!(3)),
        ("7 / 2.0", json!(3.5)),
        ("-7 % 3", json!(-1)),
        ("1 + 2 * 3 == 7 && !false", json!(true)),
        ("inputs.tags[1]", json!("b")),
        ("inputs['name'] + '!'", json!("Ada!")),
        ("inputs.count > 2 ? 'many' : 'few'", json!("many")),
        ("inputs.nothing ?? 'none'", json!("none")),
        ("inputs.empty ?? 'none'", json!("none")),
        ("inputs.empty.deeper ?? 'none'", json!("none")),
        ("default(inputs.tags[9], 'z')", json!("z")),
        ("size(inputs.tags) + size(inputs.name)", json!(5)),
        ("contains(inputs.tags, 'a') && contains(inputs.email, '@')", json!(true)),
        ("contains([1, 2], 1.0)", json!(true)),
        ("upper(inputs.name) + lower('X')", json!("ADAx")),
        ("join(split('a;b', ';'), '+')", json!("a+b")),
        ("fromjson('{\"a\": [1]}').a[0]", json!(1)),
        ("json(inputs.tags)", json!("[\"a\",\"b\"]")),
        ("keys(steps)", json!(["analyze-sentiment", "create-account"])),
        ("format('{0} of {{{1}}}', 1, 'x')", json!("1 of {x}")),
        ("round(2.5) + int('4') + int(1.9)", json!(8)),
        ("string(1.5) + string(true)", json!("1.5true")),
        ("number('1e3')", json!(1000.0)),
        ("startsWith('abc', 'a') && endsWith('abc', 'c') && trim(' x ') == 'x'", json!(true)),
        ("replace('a-b', '-', '+')", json!("a+b")),
        ("[1, 'a', [true]] + [null]", json!([1, "a", [true], null])),
        ("1 == 1.0 && 9007199254740993 > 9007199254740992.0", json!(true)),
        ("null == inputs.empty", json!(true)),
        ("'it\\'s' == \"it's\"", json!(true)),
        ("(1 + 2) * 3", json!(9)),
    ];
    for (source, expected) in cases {
        assert_eq!(value(source), Ok(expected), "{source}");
    }
}

#[test]
fn errors_name_the_place_and_help() {
    let cases = [
        ("inputs.emial", 6..12, "there is no field `emial` here", Some("did you mean `email`?")),
        ("inptus.email", 0..6, "there is no name `inptus` here", Some("did you mean `inputs`?")),
        (
            "inputs.count-1",
            6..14,
            "there is no field `count-1` here",
            Some("a hyphen belongs to the name; to subtract, write `count - 1`"),
        ),
        (
            "inputs.name > 3",
            0..15,
            "a text and a number have no order",
            Some("compare two numbers or two texts"),
        ),
        (
            "inputs.name == 3",
            0..16,
            "a text and a number cannot be equal",
            Some("turn one into the other: `string(x)`, `number(x)`"),
        ),
        (
            "inputs.name && true",
            0..11,
            "a condition is true or false, and this is a text",
            Some("compare it, such as `size(x) > 0` or `x != null`"),
        ),
        ("inputs.tags[2]", 12..13, "the list has 2 items, counted from 0; there is no 2", None),
        ("inputs.count = 3", 13..14, "`=` assigns nothing here", Some("to compare, write `==`")),
        ("1 < 2 < 3", 6..7, "`<` compares two values, not three", Some("write `a < b && b < c`")),
        ("uper(inputs.name)", 0..4, "there is no function `uper`", Some("did you mean `upper(text)`?")),
        (
            "size()",
            0..4,
            "`size` was given 0 arguments",
            Some("it is called as `size(text, list or object)`"),
        ),
        ("upper(1)", 6..7, "a text is needed here, and this is a number", None),
        ("a and b", 2..5, "`and` stands where an operator is expected", Some("both conditions: `a && b`")),
        ("'open", 0..5, "the text that begins here has no closing '", None),
        ("(1 + 2", 0..1, "a `)` is missing for what begins here", None),
        ("1 +", 3..3, "the expression ends where a value is expected", None),
        ("1 / 0", 0..5, "a division by zero", None),
        (
            "format('{18446744073709551615}', 1)",
            7..31,
            "a brace of the format is no slot of an argument",
            Some("slots are `{0}`, `{1}`; a brace itself is written twice: `{{`"),
        ),
        (
            "9223372036854775807 + 1",
            0..23,
            "the result is too large for a whole number",
            Some("use floats: `a * 1.0`"),
        ),
        ("99999999999999999999", 0..20, "the number `99999999999999999999` is too large", None),
        ("1e308 * 10.0", 0..12, "the result is not a finite number", None),
        ("", 0..0, "the expression is empty", None),
        (
            "a | upper",
            2..3,
            "`|` has no meaning here",
            Some("one of two conditions: `a || b`; there are no filters, but functions: `upper(a)`"),
        ),
    ];
    for (source, at, message, hint) in cases {
        let fault = value(source).unwrap_err();
        assert_eq!(
            (fault.message.as_str(), fault.hint.as_deref(), fault.at.clone()),
            (message, hint, at),
            "{source}"
        );
    }
}

#[test]
fn hostile_sources_are_refused_at_once() {
    let long = "1+".repeat(3000);
    let cases = [
        "(".repeat(2000),
        "[".repeat(2000),
        "!".repeat(2000) + "true",
        "-".repeat(2000) + "1",
        "1+".repeat(1500) + "1",
        format!("a{}", ".a".repeat(1500)),
        format!("a{}", "[0]".repeat(1000)),
        "true?".repeat(700),
        "a?b:".repeat(900) + "c",
        long,
    ];
    for source in cases {
        let fault = Expression::parse(&source).unwrap_err();
        assert!(fault.message.contains("at most"), "{}", fault.message);
    }
}

#[test]
fn what_an_expression_makes_is_bounded() {
    let mut scope = scope();
    scope.insert("big".into(), "x".repeat(600 << 10).into());
    let evaluate =
        |source: &str| Expression::parse(source).unwrap().evaluate(&Scope::new(&scope)).unwrap_err().message;
    for source in [
        "big + big",
        "[big, big]",
        "replace(big, 'x', 'yy')",
        "format('{0}{0}', big)",
        "join([big, big], '')",
    ] {
        assert_eq!(evaluate(source), "an expression may make at most 1024 KiB of values", "{source}");
    }
}

#[test]
fn paths_tell_what_is_read() {
    let expression =
        Expression::parse("steps.a-b.result['x'][0].y + inputs[inputs.key] ?? size(env.HOME)").unwrap();
    let paths: Vec<String> =
        expression.paths().iter().map(|(steps, at)| format!("{steps:?} {at:?}")).collect();
    assert_eq!(
        paths,
        [
            r#"[Key("steps"), Key("a-b"), Key("result"), Key("x"), Index(0), Key("y")] 0..26"#,
            r#"[Key("inputs"), Key("key")] 36..46"#,
            r#"[Key("inputs"), Computed] 29..47"#,
            r#"[Key("env"), Key("HOME")] 56..64"#,
        ]
    );
}

#[test]
fn texts_with_expressions_are_rendered() {
    let render =
        |text: &str| Template::parse(text).and_then(|template| template.render(&Scope::new(&scope())));
    let cases = [
        ("Onboarding Call - ${{ inputs.name }}", json!("Onboarding Call - Ada")),
        ("${{ inputs.count }}", json!(3)),
        ("${{ inputs.tags }}", json!(["a", "b"])),
        (" ${{ inputs.count }}", json!(" 3")),
        ("${{ '}}' }}", json!("}}")),
        ("<${{ '}}' }}>", json!("<}}>")),
        ("$${{ raw }}", json!("${{ raw }}")),
        ("a${{ inputs.empty }}b${{ inputs.tags }}", json!("ab[\"a\",\"b\"]")),
        ("$5 and ${HOME}", json!("$5 and ${HOME}")),
        ("", json!("")),
    ];
    for (text, expected) in cases {
        assert_eq!(render(text), Ok(expected), "{text}");
    }
    let fault = render("Hello ${{ inputs.nmae }}").unwrap_err();
    assert_eq!((fault.at, fault.hint.as_deref()), (16..21, Some("did you mean `name`?")));
    assert_eq!(render("${{ 1").unwrap_err().message, "this `${{` has no closing `}}`");
}

#[test]
fn a_mask_keeps_every_place() {
    let document = "a: [${{ inputs.email }}, x]\nb: ${{ a ? 1 : 2 }}\nc: $${{ raw }}\nd: ${{}}\n";
    let masked = mask(document);
    assert_eq!(masked.text.len(), document.len());
    assert!(!masked.text.contains("${{ i") && !masked.text.contains('?'));
    assert_eq!(masked.unmask(&masked.text), document);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn any_text_is_parsed_or_refused(source in "[a-z0-9.\\[\\]()'\"!?:+*/<>=&|{}$ -]{0,80}") {
        let _ = value(&source);
        let _ = Template::parse(&source).and_then(|template| template.render(&Scope::new(&scope())));
        let masked = mask(&source);
        assert_eq!(masked.text.len(), source.len());
        assert_eq!(masked.unmask(&masked.text), source);
    }
}

#[test]
fn layers_are_gathered() {
    let outer = scope();
    let inner = json!({"item": 7, "steps": {"inside": {"result": 1}}});
    let Value::Object(inner) = inner else { unreachable!() };
    let outer = Scope::new(&outer);
    let scope = outer.with(&inner);
    let value = |source: &str| Expression::parse(source).unwrap().evaluate(&scope);
    assert_eq!(value("item + steps.inside.result"), Ok(json!(8)));
    assert_eq!(value("steps.create-account.result.id"), Ok(json!("u-1")));
    assert_eq!(value("steps.insied").unwrap_err().hint.as_deref(), Some("did you mean `inside`?"));
}

#[test]
fn masked_texts_have_their_places_in_the_document() {
    let document = "a: [${{ inputs.email }}]\nb: x${{ inputs.nmae }}\n";
    let masked = mask(document);
    let line = masked.text.lines().nth(1).unwrap().strip_prefix("b: ").unwrap();
    let names = scope();
    let fault = masked.template(line, 0).unwrap().render(&Scope::new(&names)).unwrap_err();
    assert_eq!(&document[fault.at], ".nmae");
    let escaped = mask("c: $${{ raw }}${{ 1 }}");
    assert_eq!(
        escaped.template(&escaped.text[3..], 0).unwrap().render(&Scope::new(&names)),
        Ok(json!("${{ raw }}1"))
    );
}
