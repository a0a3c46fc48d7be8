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
fn a_secret_input_is_refused() {
    let text = "name: w\ninputs:\n  key: {type: string, secret: true}\nsteps: [{id: a, set: 1}]\n";
    assert_eq!(
        mistakes(text),
        [
            "3:31 an input cannot be secret: a run keeps its inputs as they are (keep the value in the vault, and \
          name it in the entry of the server that needs it)"
        ]
    );
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
