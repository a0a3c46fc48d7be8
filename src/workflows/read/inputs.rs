//! The `inputs` of a document: `email: string`, or a map with type, default, choices.

use super::{Reader, is_name};
use crate::documents::{self, Node};
use crate::workflows::model::{Input, InputKind};

pub(in crate::workflows) const KEYS: [&str; 8] =
    ["type", "description", "required", "default", "enum", "choices", "example", "secret"];

impl Reader<'_> {
    pub(super) fn inputs(&mut self, node: &Node) -> Vec<Input> {
        if !node.is_map() {
            self.wrong(node.at, format!("`inputs` is a map of names, not {}", node.word()));
        }
        let entries = node.entries().iter();
        entries
            .map(|(key, value)| {
                if !is_name(&key.name) {
                    self.wrong(key.at, format!("`{}` is no name of an input", key.name));
                }
                self.input(&key.name, value, key.at)
            })
            .collect()
    }

    fn input(&mut self, name: &str, node: &Node, at: documents::Position) -> Input {
        let mut input = Input {
            name: name.into(),
            kind: InputKind::Any,
            required: true,
            default: None,
            choices: Vec::new(),
            description: String::new(),
            secret: false,
            at,
        };
        if let Some(word) = node.as_str() {
            input.kind = self.kind(word, node);
            return input;
        }
        if node.is_null() {
            return input;
        }
        self.only(node, &KEYS, &format!("the input `{name}`"));
        if let Some(kind) = node.get("type") {
            match kind.as_str() {
                Some(word) => input.kind = self.kind(word, kind),
                None => drop(self.wrong(kind.at, "`type` is a word such as `string`")),
            }
        }
        input.secret = self.flag(node, "secret").unwrap_or_default();
        if input.secret {
            input.kind = if node.get("type").is_none() { InputKind::Text } else { input.kind };
            if input.kind != InputKind::Text {
                self.wrong(node.at, format!("the secret input `{name}` is a string"));
            }
            for key in ["default", "enum", "choices", "example"] {
                if let Some(value) = node.get(key) {
                    self.wrong(value.at, format!("a secret input has no `{key}`: the document is no secret"));
                }
            }
        }
        input.description = self.word(node, "description").unwrap_or_default();
        input.default = node.get("default").map(Node::to_json).filter(|value| !value.is_null());
        input.required = self.flag(node, "required").unwrap_or(node.get("default").is_none());
        if let Some(choices) = node.get("enum").or_else(|| node.get("choices")) {
            if !choices.is_list() {
                self.wrong(choices.at, format!("the choices of `{name}` are a list"));
            }
            input.choices = choices.items().iter().map(Node::to_json).collect();
        }
        if let (Some(default), Some(node)) = (&input.default, node.get("default")) {
            if !input.kind.takes(default) {
                let word = input.kind.schema().unwrap_or("any");
                self.wrong(
                    node.at,
                    format!("the default of `{name}` is {}, not of type {word}", node.word()),
                );
            } else if !input.choices.is_empty() && !input.choices.contains(default) {
                self.wrong(node.at, format!("the default of `{name}` is none of its choices"));
            }
        }
        input
    }

    fn kind(&mut self, word: &str, node: &Node) -> InputKind {
        if let Some((_, kind)) = InputKind::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)) {
            return *kind;
        }
        self.wrong(node.at, format!("`{word}` is no type of an input"));
        let known = InputKind::WORDS.iter().map(|(word, _)| *word);
        match documents::near(word, known) {
            Some(near) => self.hint_last(format!("did you mean `{near}`?")),
            None => self.hint_last("types are string, integer, number, boolean, array, object and any"),
        }
        InputKind::Any
    }
}
