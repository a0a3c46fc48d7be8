//! An edit of umcp's taken back out of a client's file that somebody else has changed since. Pure functions over
//! texts, like `plan.rs`; the caller keeps a copy and writes.
//! Rule: only what umcp's own edit changed is changed back; whatever others did since stays.

use super::model::{Client, Shape};
use super::plan::{find, format, servers_path};
use crate::documents::edit::{self, yaml};
use crate::documents::{Format, Node, parse_as};
use crate::error::{Error, Result, codes};
use serde::Serialize;
use serde_json::{Value, json};

/// What the file becomes, and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reverted {
    pub text: String,
    pub done: Done,
}

/// What taking the edit back does beside what others did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    pub entry: Own,
    /// Servers the edit had taken out and that are in the file again.
    pub back: Vec<String>,
    /// Servers the edit had taken out, of which the file has another one of the same name by now: that one stays.
    pub other: Vec<String>,
}

/// The text of `now` without the edit that led from `before` to `after`.
///
/// Keys that the client itself added to umcp's entry go with it.
///
/// # Errors
/// One of the texts cannot be parsed. `UNDO_CHANGED`: umcp's entry is not what umcp wrote any more.
pub fn revert(client: &Client, file: &str, before: &str, after: &str, now: &str) -> Result<Reverted> {
    let format = format(client)?;
    let [was, wrote, is] = [
        Side::of(client, parse_as(format, file, before)?),
        Side::of(client, parse_as(format, file, after)?),
        Side::of(client, parse_as(format, file, now)?),
    ];
    let mut done = Done::default();
    let mut edit = Editing { client, format, file, path: is.path_or(&was), text: now.into() };
    // Servers come first: the parent they share with umcp's entry must not go in between.
    for (name, value) in was.others.iter().filter(|(name, _)| !wrote.has(name)) {
        match is.value(name) {
            Some(there) if there == value => {}
            Some(_) => done.other.push(name.clone()),
            None => {
                edit.put(name, value)?;
                done.back.push(name.clone());
            }
        }
    }
    done.entry = edit.own(was.own.as_ref(), wrote.own.as_ref(), is.own.as_ref())?;
    edit.empty_parent(&was)?;
    Ok(Reverted { text: edit.text, done })
}

/// What happens to umcp's own entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Own {
    /// It is as it was before the edit already.
    #[default]
    AsBefore,
    TakenOut,
    /// It becomes what it was before the edit.
    PutBack,
}

/// One of the three texts: where its servers are and what they are.
struct Side {
    root: Node,
    path: Vec<&'static str>,
    own: Option<(String, Value)>,
    others: Vec<(String, Value)>,
}

impl Side {
    fn of(client: &Client, root: Node) -> Self {
        let path = servers_path(client, &root);
        let own = find(client, &root, &path).map(|(name, node)| (name, node.to_json()));
        let mut others = Vec::new();
        if let Some(servers) = root.at_path(&path) {
            let listed = servers.items().iter().filter_map(|node| Some((node.get("name")?.scalar()?, node)));
            let mapped = servers.entries().iter().map(|(key, node)| (key.name.clone(), node));
            let all = listed.chain(mapped).map(|(name, node)| (name, node.to_json()));
            others = all.filter(|(name, _)| own.as_ref().is_none_or(|own| own.0 != *name)).collect();
        }
        Self { root, path, own, others }
    }

    /// Where servers go: where they are, else where the `other` text has them.
    fn path_or(&self, other: &Self) -> Vec<&'static str> {
        if self.root.at_path(&self.path).is_some() { self.path.clone() } else { other.path.clone() }
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn value(&self, name: &str) -> Option<&Value> {
        let own = self.own.iter().chain(&self.others);
        own.into_iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
}

/// The text on its way back.
struct Editing<'a> {
    client: &'a Client,
    format: Format,
    file: &'a str,
    path: Vec<&'static str>,
    text: String,
}

type Named<'a> = Option<&'a (String, Value)>;

impl Editing<'_> {
    fn put(&mut self, name: &str, value: &Value) -> Result<()> {
        self.text = match self.client.shape {
            Shape::Listed => yaml::set_item(self.file, &self.text, self.client.key, value)?,
            _ => edit::set(self.format, self.file, &self.text, &self.keys(name), value)?,
        };
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<()> {
        self.text = match self.client.shape {
            Shape::Listed => yaml::remove_item(self.file, &self.text, self.client.key, name)?,
            _ => edit::remove(self.format, self.file, &self.text, &self.keys(name))?,
        };
        Ok(())
    }

    fn keys<'k>(&self, name: &'k str) -> Vec<&'k str> {
        let mut keys: Vec<&'k str> = self.path.clone();
        keys.push(name);
        keys
    }

    /// Takes the edit of umcp's own entry back.
    fn own(&mut self, was: Named<'_>, wrote: Named<'_>, is: Named<'_>) -> Result<Own> {
        let same = |a: Named<'_>, b: Named<'_>| a.map(|a| &a.1) == b.map(|b| &b.1);
        match (was, wrote, is) {
            _ if same(was, wrote) || same(was, is) => Ok(Own::AsBefore),
            // Somebody took it out before us.
            (_, Some(_), None) => Ok(Own::AsBefore),
            (_, Some(wrote), Some(is)) if covers(&is.1, &wrote.1) => {
                let Some(was) = was else { return self.take(&is.0).map(|()| Own::TakenOut) };
                self.put(&is.0, &was.1).map(|()| Own::PutBack)
            }
            (Some(was), None, None) => self.put(&was.0, &was.1).map(|()| Own::PutBack),
            (.., is) => {
                let name = is.map_or(super::plan::NAME, |is| is.0.as_str());
                let message = format!("the entry `{name}` is not what umcp wrote any more");
                Err(Error::new(&codes::UNDO_CHANGED, message))
            }
        }
    }

    /// A parent that was there without servers stays there. Only JSON tells such a parent from none.
    fn empty_parent(&mut self, was: &Side) -> Result<()> {
        let root = parse_as(self.format, self.file, &self.text)?;
        let there = was.root.at_path(&was.path).is_some_and(Node::is_map);
        if self.format == Format::Json && there && root.at_path(&self.path).is_none() {
            self.text = edit::set(self.format, self.file, &self.text, &self.path, &json!({}))?;
        }
        Ok(())
    }
}

/// Whether all that umcp wrote is there as it wrote it; clients add keys of their own.
fn covers(is: &Value, wrote: &Value) -> bool {
    match (is.as_object(), wrote.as_object()) {
        (Some(is), Some(wrote)) => wrote.iter().all(|(key, value)| is.get(key) == Some(value)),
        _ => is == wrote,
    }
}

#[cfg(test)]
mod tests;
