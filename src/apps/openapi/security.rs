//! The ways a document's requests are signed, and the settings that hold the keys.
//! A setting is called after the app and what it is: `PETSTORE_TOKEN`, `PETSTORE_KEY`, `PETSTORE_USER`.

use super::naming::tame;
use super::refs::Document;
use crate::apps::model::{Action, Scheme, Setting, Tool};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Every scheme of the document that umcp can use.
#[derive(Debug, Default)]
pub struct Security {
    known: BTreeMap<String, (Scheme, Vec<Setting>)>,
    /// For operations that say nothing.
    default: Value,
}

impl Security {
    pub fn new(document: &Document<'_>, app: &str) -> Self {
        let mut known = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let schemes = document.root["components"]["securitySchemes"].as_object();
        for (name, scheme) in schemes.into_iter().flatten() {
            let made = document.resolve(scheme).and_then(|scheme| scheme_of(name, scheme, app, &mut taken));
            if let Some(made) = made {
                known.insert(name.clone(), made);
            }
        }
        Self { known, default: document.root["security"].clone() }
    }

    /// The sets of schemes that sign an operation; any of them will do. `Err`: none of them is known.
    pub fn sets(&self, operation: &Value) -> Result<Vec<Vec<String>>, String> {
        let asked = operation.get("security").unwrap_or(&self.default);
        let Some(asked) = asked.as_array().filter(|asked| !asked.is_empty()) else { return Ok(Vec::new()) };
        let names = |set: &Value| -> Vec<String> {
            set.as_object().into_iter().flat_map(|set| set.keys().cloned()).collect()
        };
        let mut sets: Vec<Vec<String>> = asked.iter().map(names).collect();
        sets.retain(|set| set.iter().all(|name| self.known.contains_key(name)));
        match sets.is_empty() {
            true => Err(format!(
                "umcp cannot sign in by {}",
                asked.iter().flat_map(names).collect::<Vec<_>>().join(", ")
            )),
            false => Ok(sets),
        }
    }

    /// The schemes and settings these tools use.
    pub fn used(&self, tools: &[Tool]) -> (BTreeMap<String, Scheme>, Vec<Setting>) {
        let http = |tool: &Tool| match &tool.action {
            Action::Http(http) => http.auth.concat(),
            Action::Exec(_) => Vec::new(),
        };
        let used: BTreeSet<String> = tools.iter().flat_map(http).collect();
        let used = || self.known.iter().filter(|(name, _)| used.contains(*name));
        let schemes = used().map(|(name, (scheme, _))| (name.clone(), scheme.clone())).collect();
        (schemes, used().flat_map(|(_, (_, settings))| settings.clone()).collect())
    }
}

fn scheme_of(
    name: &str,
    scheme: &Value,
    app: &str,
    taken: &mut BTreeSet<String>,
) -> Option<(Scheme, Vec<Setting>)> {
    let upper = |text: &str| tame(text, 40).replace('-', "_").to_ascii_uppercase();
    let mut setting = |what: &str, secret: bool| {
        let short = format!("{}_{what}", upper(app));
        let name =
            if taken.contains(&short) { format!("{}_{}_{what}", upper(app), upper(name)) } else { short };
        taken.insert(name.clone());
        let description = super::text(&scheme["description"], 200);
        Setting { name, description, default: None, secret }
    };
    let reference = |setting: &Setting| format!("${{{}}}", setting.name);
    let authorization = |value: String| Scheme::Header { name: "Authorization".into(), value };
    let word = |field: &str| scheme[field].as_str().unwrap_or_default();
    Some(match (word("type"), word("scheme").to_ascii_lowercase().as_str(), word("in")) {
        ("http", "basic", _) => {
            let (user, password) = (setting("USER", false), setting("PASSWORD", true));
            (Scheme::Basic { user: reference(&user), password: reference(&password) }, vec![user, password])
        }
        ("http", "bearer", _) | ("oauth2" | "openIdConnect", ..) => {
            let token = setting("TOKEN", true);
            (authorization(format!("Bearer {}", reference(&token))), vec![token])
        }
        ("apiKey", _, place) => {
            let key = setting("KEY", true);
            let (name, value) = (word("name").to_string(), reference(&key));
            let scheme = match place {
                "header" => Scheme::Header { name, value },
                "query" => Scheme::Query { name, value },
                "cookie" => Scheme::Cookie { name, value },
                _ => return None,
            };
            (scheme, vec![key])
        }
        _ => return None,
    })
}
