//! The noun `policy`: what each client may do. One document in the store; everything else here is pure.
//! Rule: a change that does not compile changes nothing, so that the policy before it stays in force.

pub mod compile;
pub mod decide;
pub mod explain;
pub mod file;
pub mod model;
pub mod pattern;
pub mod presets;
pub mod redact;

use crate::error::{Error, Result, codes};
use crate::store::{Reader, Row, Table, Writer, tables};
pub use compile::Policy;
pub use model::{Document, Effect, Kind, Rule};
use serde::{Deserialize, Serialize};

const POLICY: Table<Stored> = Table::new(tables::POLICY);
const KEY: &str = "policy";

/// The document as JSON text, so that a later version can add fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    json: String,
}

impl Row for Stored {
    const KIND: u8 = 40;
    const VERSION: u16 = 1;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Show,
    /// Takes over what the document says; with `replace` it stands for everything there was.
    Put {
        document: Box<Document>,
        replace: bool,
    },
    DeleteRules {
        names: Vec<String>,
    },
    DeleteRole {
        name: String,
    },
    DeleteLabel {
        name: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Policy(Box<Document>),
}

impl Request {
    /// Whether the request changes the store.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Show)
    }
}

/// Answers a request that only reads.
pub fn read(tx: &Reader, request: &Request) -> Result<Reply> {
    match request {
        Request::Show => Ok(Reply::Policy(Box::new(stored(tx)?))),
        _ => Err(Error::bug("a write was handed to `rules::read`")),
    }
}

/// Answers a request that changes the store.
pub fn write(tx: &mut Writer, request: Request) -> Result<Reply> {
    let mut document = stored(tx)?;
    match request {
        Request::Show => {}
        Request::Put { document: new, replace: true } => document = *new,
        Request::Put { document: new, replace: false } => document.merge(*new),
        Request::DeleteRules { names } => {
            for name in names {
                let at = document.rules.iter().position(|rule| rule.name == name);
                document.rules.remove(at.ok_or_else(|| not_found(&document, &name))?);
            }
        }
        Request::DeleteRole { name } => {
            let gone = document.roles.remove(&name);
            gone.ok_or_else(|| missing("role", &name))?;
        }
        Request::DeleteLabel { name } => {
            let gone = document.labels.remove(&name);
            gone.ok_or_else(|| missing("label", &name))?;
        }
    }
    document.cases.clear();
    Policy::compile(&document)?;
    let json = serde_json::to_string(&document)
        .map_err(|error| Error::bug("a policy cannot be written as JSON").because(error))?;
    tx.put(&POLICY, KEY, &Stored { json })?;
    Ok(Reply::Policy(Box::new(document)))
}

fn stored(tx: &Reader) -> Result<Document> {
    let Some(stored) = tx.get(&POLICY, KEY)? else { return Ok(Document::default()) };
    serde_json::from_str(&stored.json).map_err(|error| {
        // A field of a newer program may be what forbids a call: better no policy at all than half of one.
        Error::new(&codes::STORE_NEWER, "the policy was written by a newer umcp").because(error)
    })
}

/// "No rule named …", with the nearest one.
pub fn not_found(document: &Document, name: &str) -> Error {
    let error = Error::new(&codes::RULE_NOT_FOUND, format!("no rule named `{name}`"));
    match crate::documents::near(name, document.rules.iter().map(|rule| rule.name.as_str())) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("umcp policy list"),
    }
}

fn missing(what: &str, name: &str) -> Error {
    Error::new(&codes::RULE_NOT_FOUND, format!("no {what} named `{name}`")).hint("umcp policy show")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn rule(name: &str, effect: Effect) -> Rule {
        Rule { name: name.into(), effect, ..Rule::default() }
    }

    #[test]
    fn a_policy_is_merged_replaced_and_taken_apart() {
        let store = Store::memory();
        let run = |request| store.write(|tx| write(tx, request));
        let put = |rules: Vec<Rule>, replace| Request::Put {
            document: Box::new(Document { rules, ..Document::default() }),
            replace,
        };
        let names = || {
            let Reply::Policy(document) = store.read(|tx| read(tx, &Request::Show)).unwrap();
            document.rules.iter().map(|rule| (rule.name.clone(), rule.effect)).collect::<Vec<_>>()
        };
        run(put(vec![rule("a", Effect::Deny), rule("b", Effect::Ask)], false)).unwrap();
        run(put(vec![rule("a", Effect::Allow), rule("c", Effect::Deny)], false)).unwrap();
        let of = |name: &str, effect| (name.to_string(), effect);
        assert_eq!(names(), [of("a", Effect::Allow), of("b", Effect::Ask), of("c", Effect::Deny)]);
        let broken = run(put(vec![Rule { roles: vec!["x".into()], ..rule("d", Effect::Deny) }], false));
        assert!(broken.unwrap_err().is(&codes::POLICY_INVALID));
        run(Request::DeleteRules { names: vec!["a".into()] }).unwrap();
        let missing = run(Request::DeleteRules { names: vec!["b".into(), "nothing".into()] }).unwrap_err();
        assert!(missing.is(&codes::RULE_NOT_FOUND));
        assert_eq!(names(), [of("b", Effect::Ask), of("c", Effect::Deny)]);
        run(put(vec![rule("only", Effect::Deny)], true)).unwrap();
        assert_eq!(names(), [of("only", Effect::Deny)]);
    }
}
