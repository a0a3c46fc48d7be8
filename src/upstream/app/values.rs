//! The references in an app's definition: settings from the server's entry, then the environment and the secrets.
//! Rule: a value is looked up when it is needed, so that a changed secret counts at once; no value stands in an error.

use crate::apps::model::Definition;
use crate::error::{Error, Result, codes};
use crate::upstream::Shared;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Values {
    pub shared: Arc<Shared>,
    /// Name of the server, for hints.
    pub server: String,
    /// What the entry says, unresolved.
    pub env: BTreeMap<String, String>,
}

impl Values {
    /// Resolves every reference in a text of the definition. `token`: that of an account, which stands for every
    /// secret setting to which the user gave no value.
    pub fn resolve(&self, definition: &Definition, text: &str, token: Option<&str>) -> Result<String> {
        if text.starts_with("secret://") {
            return self.shared.resolve(text, "the app");
        }
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            resolved.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}').map(|end| at + end) else { break };
            resolved.push_str(&self.one(definition, &rest[at..=end], token)?);
            rest = &rest[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    /// One `${NAME}` or `${NAME:-default}`.
    fn one(&self, definition: &Definition, reference: &str, token: Option<&str>) -> Result<String> {
        let inner = reference.trim_start_matches("${").trim_end_matches('}');
        let name = inner.split_once(":-").map_or(inner, |(name, _)| name);
        let place = format!("`{name}`");
        if let Some(value) = self.env.get(name) {
            return self.shared.resolve_value(value, &place);
        }
        let Some(setting) = definition.setting(name) else {
            return self.shared.resolve(reference, "the app");
        };
        if let (true, Some(token)) = (setting.secret, token) {
            return Ok(token.into());
        }
        let known = self.shared.resolve(&format!("${{{name}}}"), &place);
        let known = known.or_else(|_| self.shared.resolve(&format!("secret://{name}"), &place));
        match (known, inner.split_once(":-"), &setting.default) {
            (Ok(value), ..) => Ok(value),
            (Err(_), Some((_, default)), _) => Ok(default.into()),
            (Err(_), None, Some(default)) => self.shared.resolve(default, &place),
            (Err(_), None, None) => {
                let message = format!("the setting `{name}` has no value");
                let value = if setting.secret { format!("secret://{name}") } else { "VALUE".into() };
                Err(Error::new(&codes::SECRET_MISSING, message)
                    .hint(format!("umcp app configure {} {name}={value}", self.server)))
            }
        }
    }

    /// A path of a definition: `~/` is the user's home, and relative ones start at `base`.
    pub fn path(&self, path: &str, base: Option<&PathBuf>) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(below) => self.shared.paths.home.join(below),
            None if path == "~" => self.shared.paths.home.clone(),
            None => base.map_or_else(|| PathBuf::from(path), |base| base.join(path)),
        }
    }
}
