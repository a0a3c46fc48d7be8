//! The names under which clients see the tools of all servers: `server__tool`, or what the user chose.
//! Pure, and stable: a tool's name follows from its own server and name alone, never from how many others there are.
//! The only exceptions are true clashes, each of which is reported.
//!
//! Why two plain names never meet: `server__tool` splits at its first `__` in one way only, as long as the server's
//! name holds no `__` and does not end with `_`. Every other pair always gets a hash tail, even when it is alone.

use std::collections::HashMap;

/// Longest name; clients cut or refuse longer ones.
pub const MAX: usize = 50;
/// Of the server's part when the name has to be cut.
const SERVER_PART: usize = 20;
/// `_` and eight hex digits.
const TAIL: usize = 9;
const SEPARATOR: &str = "__";
const RESERVED: &[&str] = &["find_tools", "describe_tool", "call_tool", "read_result"];
const RESERVED_PREFIX: &str = "umcp__";

/// One tool as its server names it, with the user's wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    pub server: &'a str,
    pub tool: &'a str,
    /// The user's own name for this tool.
    pub alias: Option<&'a str>,
    /// Keep the tool's own name, if it is free.
    pub verbatim: bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// `[A-Za-z0-9_-]`, at most [`MAX`] characters, different from every other.
    pub exposed: String,
    /// Why it is not the name that was asked for.
    pub clash: Option<String>,
}

/// Gives every tool its name, in the order of `tools`.
///
/// The order matters only between two aliases, or two verbatim tools, of the same name: the first wins. So pass the
/// servers in the order in which they were added, that a newcomer takes nobody's name.
pub fn assign(tools: &[Named<'_>]) -> Vec<Assigned> {
    let mut names = Names { taken: HashMap::new(), given: vec![None; tools.len()] };
    names.aliases(tools);
    let reserved = names.reserve_plain(tools);
    names.verbatim(tools);
    names.prefixed(tools, &reserved);
    let complete = names.given.into_iter().map(|name| name.expect("the last step names whoever is left"));
    complete.collect()
}

/// True for the names that are umcp's own, in any case.
pub fn reserved(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with(RESERVED_PREFIX) || RESERVED.contains(&lower.as_str())
}

/// True for a name that can be shown to clients as it is.
pub fn valid(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX && name.bytes().all(allowed)
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

struct Names {
    /// Exposed name to index.
    taken: HashMap<String, usize>,
    given: Vec<Option<Assigned>>,
}

impl Names {
    /// Takes a name for `index`; gives the present owner back if there is another one.
    fn take(&mut self, name: &str, index: usize) -> Result<(), usize> {
        match self.taken.get(name) {
            Some(owner) if *owner != index => Err(*owner),
            _ => {
                self.taken.insert(name.into(), index);
                Ok(())
            }
        }
    }

    /// Checks a name that was asked for as it is, and takes it.
    fn wish(&mut self, tools: &[Named<'_>], name: &str, index: usize) -> Result<(), String> {
        if !valid(name) {
            return Err(format!("`{name}` has more than {MAX} characters, or others than A-Z a-z 0-9 _ -"));
        }
        if reserved(name) {
            return Err(format!("`{name}` is reserved"));
        }
        self.take(name, index).map_err(|owner| taken(name, &tools[owner]))
    }

    fn grant(&mut self, tools: &[Named<'_>], name: &str, index: usize) {
        let clash = self.given[index].as_ref().and_then(|given| given.clash.clone());
        match self.wish(tools, name, index) {
            Ok(()) => self.given[index] = Some(Assigned { exposed: name.into(), clash }),
            Err(why) => {
                self.given[index] = Some(Assigned { exposed: String::new(), clash: clash.or(Some(why)) })
            }
        }
    }

    fn aliases(&mut self, tools: &[Named<'_>]) {
        for (index, tool) in tools.iter().enumerate() {
            if let Some(alias) = tool.alias {
                self.grant(tools, alias, index);
            }
        }
    }

    fn named(&self, index: usize) -> bool {
        self.given[index].as_ref().is_some_and(|given| !given.exposed.is_empty())
    }

    /// Holds the plain name of every tool that may need it, so that no verbatim tool can pass for another server's.
    fn reserve_plain(&mut self, tools: &[Named<'_>]) -> Vec<Option<String>> {
        let reserve = |index: usize| {
            if self.named(index) {
                return None;
            }
            let name = plain(&tools[index])?;
            self.take(&name, index).ok().map(|()| name)
        };
        (0..tools.len()).map(reserve).collect()
    }

    fn verbatim(&mut self, tools: &[Named<'_>]) {
        for (index, tool) in tools.iter().enumerate() {
            if tool.verbatim && !self.named(index) {
                self.grant(tools, tool.tool, index);
            }
        }
    }

    fn prefixed(&mut self, tools: &[Named<'_>], plain_names: &[Option<String>]) {
        let mut order: Vec<usize> = (0..tools.len()).filter(|index| !self.named(*index)).collect();
        // Among those with a tail the order of the list must not matter.
        order.sort_by_key(|index| (tools[*index].server, tools[*index].tool));
        for index in order {
            let mut clash = self.given[index].take().and_then(|given| given.clash);
            let exposed = plain_names[index].clone().unwrap_or_else(|| {
                let (name, why) = self.tailed(tools, index);
                clash = clash.take().or(why);
                name
            });
            self.given[index] = Some(Assigned { exposed, clash });
        }
    }

    fn tailed(&mut self, tools: &[Named<'_>], index: usize) -> (String, Option<String>) {
        // It had a plain name once and did not get it.
        let lost = plain(&tools[index]).and_then(|name| {
            let owner = *self.taken.get(&name)?;
            Some(taken(&name, &tools[owner]))
        });
        let mut why = lost;
        for salt in 0u32.. {
            let name = with_tail(&tools[index], salt);
            match self.take(&name, index) {
                Ok(()) => return (name, why),
                Err(owner) => why = why.or_else(|| Some(taken(&name, &tools[owner]))),
            }
        }
        unreachable!("there are more tails than tools")
    }
}

fn taken(name: &str, owner: &Named<'_>) -> String {
    format!("`{name}` is taken by `{}` of `{}`", owner.tool, owner.server)
}

/// `server__tool`, if that can be told from every other pair's.
fn plain(tool: &Named<'_>) -> Option<String> {
    let Named { server, tool, .. } = tool;
    let one_way =
        !server.is_empty() && !server.contains(SEPARATOR) && !server.ends_with('_') && !tool.is_empty();
    let name = format!("{server}{SEPARATOR}{tool}");
    (one_way && valid(&name) && !reserved(&name)).then_some(name)
}

/// A readable cut of the name with a digest of the whole.
fn with_tail(tool: &Named<'_>, salt: u32) -> String {
    let clean = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii() && allowed(c as u8) { c } else { '_' }).collect()
    };
    let (mut server, name) = (clean(tool.server), clean(tool.tool));
    let room = MAX - TAIL;
    if server.len() + SEPARATOR.len() + name.len() > room {
        server.truncate(SERVER_PART);
    }
    let mut exposed = format!("{server}{SEPARATOR}{name}");
    exposed.truncate(room);
    if reserved(&exposed) {
        exposed.replace_range(RESERVED_PREFIX.len() - 1..RESERVED_PREFIX.len(), "-");
    }
    format!("{exposed}_{}", digest(tool, salt))
}

/// Eight hex digits that never change for this pair. The lengths keep `a`+`bc` apart from `ab`+`c`.
fn digest(tool: &Named<'_>, salt: u32) -> String {
    let text = format!("{}:{}:{}:{}:{salt}", tool.server.len(), tool.server, tool.tool.len(), tool.tool);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    crate::ids::hex(&digest.as_ref()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, any};
    use std::collections::{BTreeMap, BTreeSet};

    fn tool<'a>(server: &'a str, tool: &'a str) -> Named<'a> {
        Named { server, tool, alias: None, verbatim: false }
    }

    fn shown(tools: &[Named<'_>]) -> Vec<(String, Option<String>)> {
        assign(tools).into_iter().map(|assigned| (assigned.exposed, assigned.clash)).collect()
    }

    fn table(expected: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        expected.iter().map(|(name, clash)| ((*name).to_string(), clash.map(String::from))).collect()
    }

    #[test]
    fn plain_cut_cleaned_and_ambiguous_names() {
        let long = "a".repeat(60);
        let tools = [
            tool("github", "search"),
            tool("git_hub", "_search"),
            tool("github", "repo.search"),
            tool("github", &long),
            tool("a-server-with-a-very-long-name-of-40-chars", &long),
            tool("a__b", "c"),
            tool("a", "b__c"),
            tool("a_", "x"),
            tool("a", "_x"),
            tool("ü", "名前"),
            tool("umcp", "server_list"),
            tool("", ""),
        ];
        let expected = [
            ("github__search", None),
            ("git_hub___search", None),
            ("github__repo_search_6c4c1a5c", None),
            ("github__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_d8682e9c", None),
            ("a-server-with-a-very__aaaaaaaaaaaaaaaaaaa_09e7bcc9", None),
            ("a__b__c_aeafd168", None),
            ("a__b__c", None),
            ("a___x_72804583", None),
            ("a___x", None),
            ("______3d1d4959", None),
            ("umcp_-server_list_f96636cd", None),
            ("___5906e258", None),
        ];
        assert_eq!(shown(&tools), table(&expected));
    }

    #[test]
    fn aliases_come_first_and_reserved_names_are_kept() {
        let alias = |server, tool, alias| Named { server, tool, alias: Some(alias), verbatim: false };
        let tools = [
            tool("git", "log"),
            alias("jira", "find", "tickets"),
            alias("todo", "list", "tickets"),
            alias("evil", "x", "find_tools"),
            alias("evil", "y", "Umcp__status"),
            alias("evil", "z", "git__log"),
            alias("evil", "w", "no spaces"),
        ];
        let expected = [
            ("git__log_a8e9a44b", Some("`git__log` is taken by `z` of `evil`")),
            ("tickets", None),
            ("todo__list", Some("`tickets` is taken by `find` of `jira`")),
            ("evil__x", Some("`find_tools` is reserved")),
            ("evil__y", Some("`Umcp__status` is reserved")),
            ("git__log", None),
            ("evil__w", Some("`no spaces` has more than 50 characters, or others than A-Z a-z 0-9 _ -")),
        ];
        assert_eq!(shown(&tools), table(&expected));
    }

    #[test]
    fn verbatim_tools_keep_their_name_unless_it_is_taken() {
        let verbatim = |server, tool| Named { server, tool, alias: None, verbatim: true };
        let tools = [
            tool("github", "search"),
            verbatim("b", "search"),
            verbatim("a", "search"),
            verbatim("evil", "github__search"),
            verbatim("evil", "call_tool"),
            verbatim("evil", "a__search"),
            verbatim("b", "a.b"),
        ];
        let expected = [
            ("github__search", None),
            ("search", None),
            ("a__search", Some("`search` is taken by `search` of `b`")),
            ("evil__github__search", Some("`github__search` is taken by `search` of `github`")),
            ("evil__call_tool", Some("`call_tool` is reserved")),
            ("evil__a__search", Some("`a__search` is taken by `search` of `a`")),
            ("b__a_b_2cffd124", Some("`a.b` has more than 50 characters, or others than A-Z a-z 0-9 _ -")),
        ];
        assert_eq!(shown(&tools), table(&expected));
    }

    type Owned = (String, String, Option<String>, bool);

    fn words() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[ab_.é-]{0,4}|[a-c]{30,60}|umcp|find_tools").expect("a valid pattern")
    }

    /// Distinct pairs, as a catalogue is keyed by them.
    fn catalogue(wishes: bool) -> impl Strategy<Value = Vec<Owned>> {
        let wish = (proptest::option::of(words()), any::<bool>());
        proptest::collection::btree_map((words(), words()), wish, 0..40).prop_map(move |entries| {
            let entry = |((server, tool), (alias, verbatim)): ((String, String), (Option<String>, bool))| {
                (server, tool, alias.filter(|_| wishes), verbatim && wishes)
            };
            entries.into_iter().map(entry).collect()
        })
    }

    fn named(entries: &[Owned]) -> Vec<Named<'_>> {
        let mut tools = Vec::new();
        for (server, tool, alias, verbatim) in entries {
            tools.push(Named { server, tool, alias: alias.as_deref(), verbatim: *verbatim });
        }
        tools
    }

    fn by_tool(entries: &[Owned]) -> BTreeMap<(String, String), Assigned> {
        let names = assign(&named(entries));
        entries.iter().map(|(server, tool, _, _)| (server.clone(), tool.clone())).zip(names).collect()
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        #[test]
        fn names_are_valid_and_different(entries in catalogue(true)) {
            let names = assign(&named(&entries));
            let different: BTreeSet<_> = names.iter().map(|name| &name.exposed).collect();
            proptest::prop_assert_eq!(different.len(), entries.len());
            for name in &names {
                proptest::prop_assert!(valid(&name.exposed) && !reserved(&name.exposed), "{:?}", name);
            }
        }

        #[test]
        fn the_order_and_the_number_of_others_do_not_matter(
            (entries, shuffled) in catalogue(false).prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
            kept in 0usize..40,
        ) {
            let all = by_tool(&entries);
            proptest::prop_assert_eq!(&by_tool(&shuffled), &all);
            let some = by_tool(&shuffled[..kept.min(shuffled.len())]);
            for (key, name) in some {
                proptest::prop_assert!(all[&key] == name || all[&key].clash.is_some());
                // Such a clash needs two pairs with the same digest, or a tool named like another's tail.
                proptest::prop_assert_eq!(&all[&key].clash, &None);
            }
        }

        #[test]
        fn wishes_of_others_move_a_name_only_with_a_report(entries in catalogue(true), extra in catalogue(true)) {
            let before = by_tool(&entries);
            let mut more = entries;
            more.extend(extra.into_iter().filter(|(server, tool, _, _)| !before.contains_key(&(server.clone(), tool.clone()))));
            let after = by_tool(&more);
            for (key, name) in before {
                proptest::prop_assert!(after[&key].exposed == name.exposed || after[&key].clash.is_some());
            }
        }
    }
}
