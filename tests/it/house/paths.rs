//! The paths that a file's code names, wherever they stand: `use` trees spread out, `super` and `self` resolved.
//! Names that macros make up are out of sight.

use super::lexer::{Kind, Token};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub line: usize,
    pub test: bool,
    pub root: Root,
    /// What follows the root; a glob ends with `*`.
    pub segments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// A path from the root of our own library.
    Ours,
    /// Anything else: another crate, or a name of the file itself.
    Other,
}

/// All paths in `tokens`, seen from the module `module`.
pub fn named(tokens: &[Token], module: &[String]) -> Vec<Named> {
    let mut walk = Walk { tokens, module: module.to_vec(), inline: Vec::new(), depth: 0, found: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        at = walk.step(at);
    }
    walk.found
}

struct Walk<'a> {
    tokens: &'a [Token],
    /// The module at this place: the file's and the inline ones around it.
    module: Vec<String>,
    /// Depths at which inline modules opened.
    inline: Vec<usize>,
    depth: usize,
    found: Vec<Named>,
}

impl Walk<'_> {
    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(text))
    }

    fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word)
    }

    /// Takes in what stands at `at`; gives the index of what follows.
    fn step(&mut self, at: usize) -> usize {
        if self.is(at, "mod") && self.is_word(at + 1) && self.is(at + 2, "{") {
            self.module.push(self.tokens[at + 1].text.clone());
            self.inline.push(self.depth);
            self.depth += 1;
            return at + 3;
        }
        if self.is(at, "{") {
            self.depth += 1;
        } else if self.is(at, "}") {
            self.depth = self.depth.saturating_sub(1);
            if self.inline.last() == Some(&self.depth) {
                self.inline.pop();
                self.module.pop();
            }
        } else if self.is(at, "use") && !self.is(at + 1, "<") {
            return self.tree(at + 1, &[]);
        } else if self.is_word(at) && self.is(at + 1, "::") && !(at > 0 && self.is(at - 1, ".")) {
            return self.path(at);
        }
        at + 1
    }

    /// A path within code: words joined by `::`.
    fn path(&mut self, start: usize) -> usize {
        let mut segments = vec![self.tokens[start].text.clone()];
        let mut at = start + 1;
        while self.is(at, "::") && self.is_word(at + 1) {
            segments.push(self.tokens[at + 1].text.clone());
            at += 2;
        }
        self.add(start, &segments);
        at.max(start + 1)
    }

    /// One branch of a `use` tree; gives the index after it.
    fn tree(&mut self, start: usize, before: &[String]) -> usize {
        let mut segments = before.to_vec();
        let mut at = start;
        while at < self.tokens.len() {
            if self.is(at, "{") {
                return self.branches(at + 1, &segments);
            }
            if self.is(at, "*") || (self.is_word(at) && !self.is(at, "as")) {
                segments.push(self.tokens[at].text.clone());
            } else if !self.is(at, "::") {
                break;
            }
            at += 1;
        }
        self.add(start, &segments);
        if self.is(at, "as") { at + 2 } else { at }
    }

    fn branches(&mut self, mut at: usize, before: &[String]) -> usize {
        while at < self.tokens.len() && !self.is(at, "}") {
            at = if self.is(at, ",") { at + 1 } else { self.tree(at, before).max(at + 1) };
        }
        at + 1
    }

    fn add(&mut self, at: usize, segments: &[String]) {
        let token = &self.tokens[at.min(self.tokens.len() - 1)];
        let (root, segments) = resolve(&self.module, segments);
        self.found.push(Named { line: token.line, test: token.test, root, segments });
    }
}

fn resolve(module: &[String], segments: &[String]) -> (Root, Vec<String>) {
    let mut base = module.to_vec();
    let mut rest = segments;
    let mut root = Root::Other;
    while let Some((first, more)) = rest.split_first() {
        match first.as_str() {
            "crate" | "umcp" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            _ => break,
        }
        root = Root::Ours;
        rest = more;
    }
    let tail = rest.iter().filter(|segment| *segment != "self").cloned();
    match root {
        Root::Ours => (root, base.into_iter().chain(tail).collect()),
        Root::Other => (root, tail.collect()),
    }
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    let source = "
        use crate::a::{self, b::{c, d as e}, f::*};
        use super::g; use self::h;
        use tokio::{net, time};
        mod inner { use super::i; use super::super::j; }
        fn k() -> crate::l::M<umcp::n::O> { p::q(); r.collect::<Vec<_>>(); super::super::s::t() }
        fn u() -> impl use<'_> V {}";
    let module = ["room".to_string(), "file".to_string()];
    let all = named(&super::lexer::tokens(source), &module);
    let seen = |root| {
        let of_root = all.iter().filter(|named| named.root == root);
        of_root.map(|named| format!("{} {}", named.line, named.segments.join("::"))).collect::<Vec<_>>()
    };
    assert_eq!(
        seen(Root::Ours),
        [
            "2 a",
            "2 a::b::c",
            "2 a::b::d",
            "2 a::f::*",
            "3 room::g",
            "3 room::file::h",
            "5 room::file::i",
            "5 room::j",
            "6 l::M",
            "6 n::O",
            "6 s::t"
        ]
    );
    assert_eq!(seen(Root::Other), ["4 tokio::net", "4 tokio::time", "6 p::q"]);
}
