//! Ranking of short texts by a query: tools now, catalogue entries and memories by the same code.
//! Lexical only: BM25F over fields, a stemmer, a synonym table and typo tolerance; no model, no file, no clock.
//! The rule: the same documents and the same query give the same answer, to the last tie.

mod bm25;
mod query;
mod synonyms;
mod terms;
mod words;

pub use bm25::Index;
pub use words::{identifiers, terms};

/// A text to be found.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// The name it is exposed under; a query that is this name finds it first, and ties are broken by it.
    pub key: &'a str,
    /// Its texts; a field may occur more than once (one entry per argument, say) or not at all.
    pub fields: &'a [(Field, &'a str)],
}

/// Which part of a document a text is; the parts count differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    Name,
    Title,
    Description,
    Argument,
    Server,
    Tag,
}

/// A document that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Its number: the position at which it was given to [`Index::build`].
    pub doc: usize,
    /// Comparable within one answer only.
    pub score: f32,
    /// The words of the query that this document answers, as typed but in lower case.
    pub matched: Vec<String>,
}
