//! `skill.yaml`: what a skill is beyond its text: version, parameters, what it needs, its steps and its tests. Pure.
//! The steps are those of workflows; they are handed on as a workflow document (`document`), not understood here.

use super::document;
use super::model::Need;
use super::{is_name, tidy};
use crate::documents::{self, Node, Source};
use crate::error::{Error, Result, codes};
use crate::expressions::{Masked, mask};
use serde_json::Value;

/// How the steps follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// One after another.
    #[default]
    Sequential,
    /// All at once, but for what one reads of another.
    Parallel,
    /// The first one whose `if` holds, and no other.
    Conditional,
}

impl Strategy {
    const WORDS: [(&str, Self); 3] =
        [("sequential", Self::Sequential), ("parallel", Self::Parallel), ("conditional", Self::Conditional)];
}

/// What a `skill.yaml` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Definition {
    pub id: String,
    pub title: String,
    pub version: Option<String>,
    pub description: String,
    pub author: String,
    pub license: String,
    pub tags: Vec<String>,
    /// Servers, or `SERVER.TOOL`.
    pub tools: Vec<String>,
    pub models: Vec<String>,
    pub skills: Vec<Need>,
    /// The workflow its steps are; `None` without steps.
    pub document: Option<String>,
    /// The same with the lines of the file, to say where a mistake stands.
    pub plain: Option<String>,
    pub tests: Vec<Test>,
}

/// One test: what goes in, what the tools answer, what has to come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    pub name: String,
    pub inputs: Value,
    /// Results by step, as `umcp workflow test --mock` takes them.
    pub mock: Value,
    /// Outputs that have to be these; others do not count.
    pub expect: Value,
    /// Words that its failure has to hold; `None` when it may not fail.
    pub error: Option<String>,
}

const KEYS: [&str; 22] = [
    "id",
    "name",
    "version",
    "description",
    "author",
    "license",
    "tags",
    "parameters",
    "inputs",
    "required_tools",
    "required_models",
    "required_skills",
    "execution_strategy",
    "steps",
    "outputs",
    "templates",
    "finally",
    "retry",
    "timeout",
    "tests",
    "metadata",
    "max_concurrency",
];

/// Reads a `skill.yaml`.
///
/// # Errors
/// Every mistake, each with its place.
pub fn read(file: &str, text: &str) -> Result<Definition, Vec<Error>> {
    let masked = mask(text);
    let node = documents::parse(file, &masked.text).map_err(|error| vec![error])?;
    let mut reader = Reader { source: Source::new(file, text), masked: &masked, errors: Vec::new() };
    let definition = reader.definition(&node, text);
    if reader.errors.is_empty() { Ok(definition) } else { Err(reader.errors) }
}

struct Reader<'a> {
    source: Source<'a>,
    masked: &'a Masked,
    errors: Vec<Error>,
}

impl Reader<'_> {
    fn definition(&mut self, node: &Node, text: &str) -> Definition {
        if !node.is_map() {
            self.wrong(node, format!("a skill is a map of keys, not {}", node.word()));
            return Definition::default();
        }
        for (key, value) in node.entries() {
            if !KEYS.contains(&key.name.as_str()) {
                let error =
                    Error::new(&codes::FIELD_UNKNOWN, format!("skill.yaml has no key `{}`", key.name))
                        .at(self.source.span(key.at));
                self.errors.push(match documents::near(&key.name, KEYS) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("what umcp does not read belongs under `metadata`"),
                });
            } else if value.is_null() {
                self.wrong(value, format!("`{}` is empty", key.name));
            }
        }
        let id = self.id(node);
        let strategy = self.strategy(node);
        let (document, plain) = match node.get("steps") {
            Some(steps) if steps.is_list() => (
                Some(document::translate(node, &id, strategy, self.masked)),
                document::plain(node, &id, text),
            ),
            Some(steps) => {
                self.wrong(steps, format!("`steps` is a list, not {}", steps.word()));
                (None, None)
            }
            None => {
                self.only_with_steps(node);
                (None, None)
            }
        };
        Definition {
            title: self.word(node, "name"),
            version: self.version(node),
            description: self.word(node, "description"),
            author: self.word(node, "author"),
            license: self.word(node, "license"),
            tags: self.words(node, "tags"),
            tools: self.words(node, "required_tools"),
            models: self.words(node, "required_models"),
            skills: self.skills(node),
            tests: self.tests(node),
            document,
            plain,
            id,
        }
    }

    fn wrong(&mut self, node: &Node, message: impl Into<String>) {
        let error = self.source.invalid(node.at, message);
        self.errors.push(error);
    }

    fn id(&mut self, node: &Node) -> String {
        let id = self.word(node, "id");
        if node.get("id").is_none() {
            self.wrong(node, "skill.yaml needs an `id`, which is the `name` of SKILL.md");
        } else if !is_name(&id) {
            let at = node.get("id").unwrap_or(node);
            self.wrong(at, format!("`{}` is no id of a skill", id.escape_debug()));
        }
        id
    }

    fn strategy(&mut self, node: &Node) -> Strategy {
        let Some(word) = node.get("execution_strategy") else { return Strategy::default() };
        let found = Strategy::WORDS.iter().find(|(known, _)| word.as_str() == Some(known));
        match found {
            Some((_, strategy)) => *strategy,
            None => {
                self.wrong(word, "`execution_strategy` is sequential, parallel or conditional");
                Strategy::default()
            }
        }
    }

    fn only_with_steps(&mut self, node: &Node) {
        for key in ["execution_strategy", "outputs", "templates", "finally", "retry", "timeout", "tests"] {
            if let Some(value) = node.get(key) {
                self.wrong(value, format!("`{key}` is of no use without `steps`"));
            }
        }
    }

    fn version(&mut self, node: &Node) -> Option<String> {
        let value = node.get("version")?;
        match value.scalar().as_deref().map(semver::Version::parse) {
            Some(Ok(version)) => Some(version.to_string()),
            _ => {
                self.wrong(value, "`version` is a semantic version such as 1.0.0");
                None
            }
        }
    }

    /// A text; nothing where the key is not there.
    fn word(&mut self, node: &Node, key: &str) -> String {
        let Some(value) = node.get(key) else { return String::new() };
        match value.scalar() {
            Some(text) => tidy(&self.masked.unmask(&text)),
            None => {
                self.wrong(value, format!("`{key}` is a text, not {}", value.word()));
                String::new()
            }
        }
    }

    fn words(&mut self, node: &Node, key: &str) -> Vec<String> {
        let Some(value) = node.get(key) else { return Vec::new() };
        if let Some(text) = value.as_str() {
            return vec![tidy(text)];
        }
        if !value.is_list() {
            self.wrong(value, format!("`{key}` is a list of words, not {}", value.word()));
        }
        let mut words = Vec::new();
        for item in value.items() {
            match item.scalar() {
                Some(word) => words.push(tidy(&word)),
                None => self.wrong(item, format!("`{key}` is a list of words")),
            }
        }
        words
    }

    /// `name`, `name@range`, or a map of names to ranges.
    fn skills(&mut self, node: &Node) -> Vec<Need> {
        let Some(value) = node.get("required_skills") else { return Vec::new() };
        let pairs: Vec<(String, &Node)> = match value.is_map() {
            true => value
                .entries()
                .iter()
                .map(|(key, range)| (format!("{}@{}", key.name, range.scalar().unwrap_or_default()), range))
                .collect(),
            false => value.items().iter().map(|item| (item.scalar().unwrap_or_default(), item)).collect(),
        };
        if !value.is_map() && !value.is_list() {
            self.wrong(
                value,
                "`required_skills` is a list such as `[tone@^1.0]`, or a map of names to versions",
            );
        }
        let mut needs = Vec::new();
        for (word, at) in pairs {
            match Need::parse(&word) {
                Ok(need) => needs.push(need),
                Err(error) => self.wrong(at, error.message),
            }
        }
        needs
    }

    fn tests(&mut self, node: &Node) -> Vec<Test> {
        let Some(value) = node.get("tests") else { return Vec::new() };
        if !value.is_list() {
            self.wrong(value, format!("`tests` is a list, not {}", value.word()));
        }
        let mut tests = Vec::new();
        for (number, item) in value.items().iter().enumerate() {
            let known = ["name", "inputs", "mock", "expect", "error"];
            for (key, _) in item.entries().iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
                let error = self.source.invalid(key.at, format!("a test has no key `{}`", key.name));
                self.errors.push(error.hint(format!("known are {}", known.join(", "))));
            }
            let json = |key: &str| item.get(key).map(Node::to_json).unwrap_or_default();
            let name = self.word(item, "name");
            let error = item.get("error").and_then(Node::scalar);
            if json("expect").is_null() && error.is_none() {
                self.wrong(item, "a test says what it expects: `expect` with outputs, or `error` with words");
            }
            tests.push(Test {
                name: if name.is_empty() { format!("test {}", number + 1) } else { name },
                inputs: json("inputs"),
                mock: json("mock"),
                expect: json("expect"),
                error,
            });
        }
        tests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_skill_is_read() {
        let text = "id: sentiment-analysis\nname: Sentiment Analyzer\nversion: 1.0.0\ndescription: Analyze text\nauthor: community\nparameters: {text: string}\nrequired_tools: [openai, anthropic]\nrequired_skills: {tone: ^1.2}\nexecution_strategy: parallel\nsteps:\n  - {id: a, set: \"${{ inputs.text }}\"}\ntests:\n  - {inputs: {text: x}, expect: {a: 1}}\nmetadata: {anything: goes}\n";
        let read = read("skill.yaml", text).unwrap();
        assert_eq!(read.title, "Sentiment Analyzer");
        assert_eq!(read.tools, ["openai", "anthropic"]);
        assert_eq!(read.skills[0].to_string(), "tone@^1.2");
        assert_eq!(read.tests[0].name, "test 1");
        assert!(read.document.unwrap().contains("\"parallel\":true"));
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "id: Greet\nversoin: 1\nversion: one\nexecution_strategy: quick\nrequired_skills: [a@x.y]\nsteps: {}\ntests:\n  - {name: t}\n";
        let errors = read("skill.yaml", text).unwrap_err();
        let told: Vec<(u32, &str)> =
            errors.iter().map(|it| (it.span.as_ref().unwrap().line, it.message.as_str())).collect();
        let lines: Vec<u32> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 1, 4, 6, 3, 5, 8], "{told:?}");
        assert_eq!(errors[0].hints, ["did you mean `version`?"]);
        let useless = read("skill.yaml", "id: a\nretry: {max_attempts: 2}\n").unwrap_err();
        assert_eq!(useless[0].message, "`retry` is of no use without `steps`");
    }
}
