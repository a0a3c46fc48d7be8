//! `umcp explain`: what an error code means, offline.

use super::context::Context;
use crate::documents::near;
use crate::error::{Code, Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, Table};
use clap::Args;
use serde::Serialize;

/// Explain an error code
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp explain UM0401")]
pub struct Explain {
    /// A code such as UM0401, or its name such as server_not_found; without one all are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

#[derive(Serialize)]
struct Explained {
    code: &'static str,
    name: &'static str,
    explanation: &'static str,
    exit: u8,
    retryable: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Explained>);

impl Explain {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Some(word) = self.code else {
            return ctx.ui.show(&All(codes::ALL.iter().copied().map(Explained::from).collect()));
        };
        match codes::find(&word) {
            Some(code) => ctx.ui.show(&Explained::from(code)),
            None => Err(unknown(&word)),
        }
    }
}

fn unknown(word: &str) -> Error {
    let error = Error::new(&codes::CODE_NOT_FOUND, format!("there is no error code `{word}`"));
    let known = codes::ALL.iter().flat_map(|code| [code.name, code.code]);
    match near(word, known) {
        Some(nearest) => error.hint(format!("umcp explain {nearest}")),
        None => error.hint("umcp explain"),
    }
}

impl From<&'static Code> for Explained {
    fn from(code: &'static Code) -> Self {
        Self {
            code: code.code,
            name: code.name,
            explanation: code.explanation,
            exit: code.kind.exit(),
            retryable: code.kind.retryable(),
        }
    }
}

impl Output for Explained {
    const KIND: &'static str = "explain/1";

    fn human(&self, page: &mut Page) {
        let again = if self.retryable { "may help" } else { "does not help by itself" };
        page.heading(format!("{} {}", self.code, self.name)).text(self.explanation).blank();
        page.pairs([("exit code", self.exit.to_string()), ("trying again", again.into())]);
    }

    fn ids(&self) -> Vec<String> {
        vec![self.code.into()]
    }
}

impl Output for All {
    const KIND: &'static str = "explain.list/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("code"),
            Column::new("name"),
            Column::new("exit").right().optional(2),
            Column::new("meaning").wraps().optional(1),
        ];
        let mut table = Table::new("", columns);
        for code in &self.0 {
            table.row([
                Cell::from(code.code),
                code.name.into(),
                code.exit.to_string().into(),
                code.explanation.into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|code| code.code.into()).collect()
    }
}
