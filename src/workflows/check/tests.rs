//! What is wrong in a document, with its place and the nearest word that would have been right.

use crate::workflows::check::check;
use crate::workflows::read::{duration, read};

fn mistakes(text: &str) -> Vec<String> {
    let say = |error: &crate::error::Error| {
        let span =
            error.span.as_ref().map_or(String::new(), |span| format!("{}:{} ", span.line, span.column));
        let hint = error.hints.first().map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{span}{}{hint}", error.message)
    };
    match read("w.yaml", text) {
        Err(errors) => errors.iter().map(say).collect(),
        Ok(mut workflow) => check("w.yaml", text, &mut workflow, None).errors.iter().map(say).collect(),
    }
}

#[test]
fn mistakes_are_found_at_once_with_their_places() {
    let text = r#"name: broken
inputs:
  email: strng
steps:
  - id: one
    tol: mail.check
    inputs: {to: "${{ inputs.emial }}"}
  - id: two
    tool: mail.send
    inputs: {to: "${{ inputs.email + }}"}
    timeuot: 3s
"#;
    assert_eq!(
        mistakes(text),
        [
            "3:10 `strng` is no type of an input (did you mean `string`?)",
            "6:5 the step `one` has no key that says what it does (did you mean `tool`?)",
            "10:38 the expression ends where a value is expected",
            "11:5 the tool step `two` has no key `timeuot` (did you mean `timeout`?)",
        ]
    );
    let text = r#"name: broken
inputs:
  email: string
steps:
  - id: one
    tool: mail.check
    inputs: {to: "${{ inputs.emial }}"}
  - id: two
    tool: mail.send
    depends_on: [wone]
    inputs: {from: "${{ steps.three.result }}", x: "${{ stpes.one }}"}
  - id: three
    tool: a.b
    if: ${{ steps.one.reslt }}
  - id: one
    set: 1
"#;
    assert_eq!(
        mistakes(text),
        [
            "7:23 there is no input `emial` (did you mean `email`?)",
            "8:5 steps wait for each other: two → three (a step without `depends_on` waits for all before it; `parallel: true` or `depends_on` change that)",
            "10:18 there is no step `wone` (did you mean `one`?)",
            "11:57 there is no `stpes` here (did you mean `steps`?)",
            "14:13 there is no part of a step's outcome `reslt` (did you mean `result`?)",
            "15:5 the id `one` is taken by the step in line 5 (every step of a workflow has an id of its own)",
        ]
    );
}

#[test]
fn a_secret_input_is_only_handed_on() {
    let head = "name: w\ninputs:\n  key: {type: string, secret: true}\n";
    let fine = "steps:\n  - {id: a, tool: x.y, inputs: {k: \"${{ inputs.key }}\"}}\n  \
        - {id: b, http: \"https://a.example\", headers: {Authorization: \"Bearer ${{ inputs.key }}\"}}\n";
    assert_eq!(mistakes(&format!("{head}{fine}")), [""; 0]);
    let hint = "(it is for the inputs, headers and variables of a step that calls something)";
    for step in [
        "set: \"${{ inputs.key }}\"",
        "wait: \"${{ inputs['key'] }}\"",
        "approval: \"ok ${{ inputs.key }}?\"",
        "workflow: x, inputs: {k: \"${{ inputs.key }}\"}",
        "tool: x.y, if: \"${{ inputs.key == 'a' }}\"",
        "type: foreach, items: \"${{ split(inputs.key, ',') }}\", steps: []",
        "type: repeat, until: \"${{ inputs.key == 'a' }}\", steps: [{id: b, set: 1}]",
    ] {
        let found = mistakes(&format!("{head}steps: [{{id: a, {step}}}]\n"));
        assert!(
            found
                .iter()
                .any(|it| it.contains("the secret input `key` cannot be used here") && it.contains(hint)),
            "{step}: {found:?}"
        );
    }
    let whole = "steps: [{id: a, tool: x.y, inputs: {k: \"${{ json(inputs) }}\"}}]\n";
    assert!(mistakes(&format!("{head}{whole}"))[0].contains("`inputs` as a whole has a secret in it"));
    let output = "steps: [{id: a, set: 1}]\noutputs: {k: \"${{ inputs.key }}\"}\n";
    assert!(mistakes(&format!("{head}{output}"))[0].contains("cannot be used here"));
    for (input, expected) in [
        ("{type: integer, secret: true}", "the secret input `key` is a string"),
        ("{secret: true, default: abcdefgh}", "a secret input has no `default`"),
    ] {
        let found = mistakes(&format!("name: w\ninputs:\n  key: {input}\nsteps: []\n"));
        assert!(found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn times_are_read() {
    let cases = [
        ("30s", Some(30_000)),
        ("500ms", Some(500)),
        ("1.5h", Some(5_400_000)),
        ("2", Some(2000)),
        ("2d", Some(172_800_000)),
        ("x", None),
        ("5 parsecs", None),
        ("-1s", None),
    ];
    for (text, expected) in cases {
        assert_eq!(duration(text), expected, "{text}");
    }
}
