//! Reads a price book from YAML, JSON or TOML. What is refused is refused with its place.

use super::model::Book;
use crate::documents::{self, Source, node};
use crate::error::Result;

/// Reads a file's text; `path` names it in errors.
///
/// # Errors
/// `FILE_INVALID`, `FIELD_UNKNOWN`, `PRICE_INVALID`, with file, line and column.
pub fn parse(path: &str, text: &str) -> Result<Book> {
    let tree = documents::parse(path, text)?;
    let source = Source::new(path, text);
    let book: Book = node::into_typed(&source, &tree)?;
    let places = tree.get("prices").map(documents::Node::items).unwrap_or_default();
    for (price, place) in book.prices.iter().zip(places) {
        price.check().map_err(|error| error.at(source.span(place.at)))?;
    }
    book.clone().compile().map_err(|error| error.at(source.span(tree.at)))?;
    Ok(book)
}
