//! Lists of things of one kind: a table for people, an array in JSON, the names for `--quiet`. What a row says is
//! written once, with the thing itself.

use super::{Cell, Column, Output, Page, Table};
use serde::Serialize;

/// A thing that is a row of a table.
pub trait Row: Serialize {
    /// Name and version of the list's shape, such as `server.list/1`.
    const KIND: &'static str;
    /// What stands in place of an empty table.
    const EMPTY: &'static str;

    fn columns() -> Vec<Column>;

    /// One cell for each column.
    fn cells(&self) -> Vec<Cell>;

    /// What `--quiet` prints.
    fn id(&self) -> String;
}

/// A list as the result of a command.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Rows<R>(pub Vec<R>);

impl<R: Row> Output for Rows<R> {
    const KIND: &'static str = R::KIND;

    fn human(&self, page: &mut Page) {
        let mut table = Table::new(R::EMPTY, R::columns());
        for row in &self.0 {
            table.row(row.cells());
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(Row::id).collect()
    }
}
