//! `SKILL.md`: front matter between two lines of `---`, and the text for the agent behind it. Every key is kept as
//! it was written; only `name` and `description` have to be there. Pure.

use super::is_name;
use crate::documents;
use crate::error::{Error, Result, codes};
use serde_json::{Map, Value};

/// Most characters of a description, and of a note on compatibility.
const MAX_DESCRIPTION: usize = 1024;
const MAX_COMPATIBILITY: usize = 500;
/// What the format advises for the text an agent loads.
const MANY_LINES: usize = 500;
/// Keys of the format itself.
const KNOWN: [&str; 6] = ["name", "description", "license", "compatibility", "metadata", "allowed-tools"];

/// What a `SKILL.md` says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Front {
    pub name: String,
    pub description: String,
    /// All keys, these two too.
    pub fields: Map<String, Value>,
    /// The text behind the front matter.
    pub body: String,
    /// What the format does not want, yet can be read.
    pub warnings: Vec<String>,
}

impl Front {
    /// A text of the front matter: under its own key, or under `metadata`.
    pub fn text(&self, key: &str) -> Option<String> {
        let value = self.fields.get(key).or_else(|| self.fields.get("metadata")?.get(key))?;
        match value {
            Value::String(text) => Some(text.trim().to_string()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A list of words: a list, or a text with commas.
    pub fn words(&self, key: &str) -> Vec<String> {
        match self.fields.get(key).or_else(|| self.fields.get("metadata")?.get(key)) {
            Some(Value::Array(words)) => words.iter().filter_map(|it| it.as_str().map(Into::into)).collect(),
            Some(Value::String(text)) => {
                text.split(',').map(|word| word.trim().to_string()).filter(|word| !word.is_empty()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Reads a `SKILL.md`. What other programs accept is accepted too, and said as a warning.
pub fn read(file: &str, text: &str) -> Result<Front> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (front, body) = split(text).ok_or_else(|| {
        let message = format!("`{file}` does not begin with front matter between two lines of `---`");
        Error::new(&codes::SKILL_INVALID, message).hint("umcp skill create NAME    # shows how one looks")
    })?;
    let mut warnings = Vec::new();
    // One line in front keeps the numbers of lines.
    let fields = match documents::parse_as(documents::Format::Yaml, file, &format!("\n{front}")) {
        Ok(node) if node.is_map() => node.to_json(),
        Ok(node) => {
            let message = format!("the front matter of `{file}` is no map of keys but {}", node.word());
            return Err(Error::new(&codes::SKILL_INVALID, message));
        }
        Err(error) => match loose(front) {
            Some(fields) => {
                warnings
                    .push(format!("the front matter is no good YAML ({error}); it was read line by line"));
                Value::Object(fields)
            }
            None => return Err(error),
        },
    };
    let Value::Object(fields) = fields else { return Err(Error::bug("a map that is none")) };
    let text_of = |key: &str| match fields.get(key) {
        Some(Value::String(text)) => Ok(text.trim().to_string()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(Error::new(&codes::SKILL_INVALID, format!("`{file}` has no `{key}` in its front matter"))
            .hint(format!("add a line such as `{key}: …`"))),
    };
    let (name, description) = (text_of("name")?, text_of("description")?);
    if !is_name(&name) {
        let message = format!("`{}` in `{file}` is no name of a skill", name.escape_debug());
        return Err(Error::new(&codes::SKILL_INVALID, message).hint(
            "names have lower-case letters, digits and single hyphens between them, at most 64 characters",
        ));
    }
    if description.is_empty() {
        return Err(Error::new(&codes::SKILL_INVALID, format!("the description in `{file}` is empty"))
            .hint("say what the skill does and when to use it"));
    }
    remarks(&fields, &description, body, &mut warnings);
    Ok(Front { name, description, fields, body: body.trim_start_matches(['\r', '\n']).into(), warnings })
}

fn remarks(fields: &Map<String, Value>, description: &str, body: &str, warnings: &mut Vec<String>) {
    let long = |text: &str, most: usize| text.chars().count() > most;
    if long(description, MAX_DESCRIPTION) {
        warnings.push(format!("the description is longer than {MAX_DESCRIPTION} characters"));
    }
    if fields.get("compatibility").and_then(Value::as_str).is_some_and(|it| long(it, MAX_COMPATIBILITY)) {
        warnings.push(format!("`compatibility` is longer than {MAX_COMPATIBILITY} characters"));
    }
    let other: Vec<&str> = fields.keys().map(String::as_str).filter(|key| !KNOWN.contains(key)).collect();
    if !other.is_empty() {
        warnings.push(format!("keys that the format does not know are kept: {}", other.join(", ")));
    }
    let lines = body.lines().count();
    if lines > MANY_LINES {
        warnings.push(format!("the text has {lines} lines; more than {MANY_LINES} cost an agent much"));
    }
    if body.trim().is_empty() {
        warnings.push("there is no text behind the front matter".into());
    }
}

/// The front matter and what stands behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("---")?;
    let rest = rest.strip_prefix('\n').or_else(|| rest.strip_prefix("\r\n"))?;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((&rest[..at], &rest[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// Lines of `key: text`, as they are often written: with colons in a text that has no quotes.
fn loose(front: &str) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    for line in front.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')) {
        let (key, value) = line.split_once(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.is_empty() || !key.chars().all(plain) {
            return None;
        }
        fields.insert(key.into(), value.trim().into());
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_is_kept_and_the_text_is_the_rest() {
        let text = "---\nname: greet\ndescription: Says hello\nlicense: MIT\nmetadata:\n  version: \"1.2.0\"\n  tags: a, b\ncontext: fork\n---\n\n# Greet\n";
        let front = read("SKILL.md", text).unwrap();
        assert_eq!((front.name.as_str(), front.description.as_str()), ("greet", "Says hello"));
        assert_eq!(front.fields["context"], json!("fork"));
        assert_eq!(front.text("version").as_deref(), Some("1.2.0"));
        assert_eq!(front.words("tags"), ["a", "b"]);
        assert_eq!(front.body, "# Greet\n");
        assert_eq!(front.warnings, ["keys that the format does not know are kept: context"]);
    }

    #[test]
    fn what_is_often_written_wrongly_is_read_with_a_warning() {
        let front = read("SKILL.md", "---\nname: greet\ndescription: Use when: asked\n---\nx").unwrap();
        assert_eq!(front.description, "Use when: asked");
        assert!(front.warnings[0].contains("read line by line"), "{:?}", front.warnings);
    }

    #[test]
    fn what_is_no_skill_says_why() {
        for (text, why) in [
            ("# Greet", "does not begin with front matter"),
            ("---\nname: greet\n", "does not begin with front matter"),
            ("---\nname: greet\n---\n", "has no `description`"),
            ("---\ndescription: x\n---\n", "has no `name`"),
            ("---\nname: Greet\ndescription: x\n---\n", "is no name"),
            ("---\nname: a--b\ndescription: x\n---\n", "is no name"),
            ("---\nname: ../x\ndescription: x\n---\n", "is no name"),
            ("---\n- a\n---\n", "no map of keys"),
            ("---\nname: greet\ndescription: ''\n---\n", "is empty"),
        ] {
            let error = read("SKILL.md", text).unwrap_err();
            assert!(error.message.contains(why), "{text:?}: {error}");
        }
    }
}
