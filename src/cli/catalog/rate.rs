//! `umcp catalog rate`: what the user thinks of an entry. It stays on this machine and counts in searches.

use super::{ask, one, unexpected};
use crate::catalogue::{Rating, Reply as Answer, Request};
use crate::cli::context::Context;
use crate::error::{Error, Result, codes};
use crate::ui::{Cell, Column, Output, Page, State, Table};
use clap::Args;
use serde::Serialize;

/// Rate an entry, for your own searches
///
/// Without a name it lists your ratings. They stay on this machine.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  umcp catalog rate playwright 5 --comment 'fast and quiet'")]
pub struct Rate {
    #[arg(value_name = "ENTRY")]
    name: Option<String>,
    /// From 1, poor, to 5
    #[arg(value_name = "STARS", value_parser = clap::value_parser!(u8).range(1..=5), conflicts_with = "clear")]
    stars: Option<u8>,
    /// Why
    #[arg(long, value_name = "TEXT", requires = "stars")]
    comment: Option<String>,
    /// Take your rating back
    #[arg(long, requires = "name")]
    clear: bool,
}

impl Rate {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let Some(name) = self.name else {
            return match ask(ctx, Request::Ratings)? {
                Answer::Ratings(ratings) => ctx.ui.show(&Ratings(ratings)),
                other => unexpected(&other),
            };
        };
        if self.clear {
            // The entry may be gone from its source; its rating is not.
            let key = one(ctx, &name, None).map_or(name, |listed| listed.key());
            ask(ctx, Request::Unrate { key: key.clone() })?;
            return ctx.ui.show(&Rated { key, stars: None });
        }
        let key = one(ctx, &name, None)?.key();
        let Some(stars) = self.stars else {
            return Err(Error::new(&codes::USAGE, "how many stars was not said")
                .hint(format!("umcp catalog rate {name} 5")));
        };
        let rating = Rating { key, stars, comment: self.comment, at: ctx.clock.now() };
        match ask(ctx, Request::Rate { rating })? {
            Answer::Rating(rating) => ctx.ui.show(&Rated { key: rating.key, stars: Some(stars) }),
            other => unexpected(&other),
        }
    }
}

#[derive(Serialize)]
struct Rated {
    key: String,
    stars: Option<u8>,
}

impl Output for Rated {
    const KIND: &'static str = "catalog.rated/1";

    fn human(&self, page: &mut Page) {
        match self.stars {
            Some(stars) => page.mark(State::Ok, format!("rated {} with {stars}", self.key)),
            None => page.mark(State::Ok, format!("took the rating of {} back", self.key)),
        };
    }

    fn ids(&self) -> Vec<String> {
        vec![self.key.clone()]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Ratings(Vec<Rating>);

impl Output for Ratings {
    const KIND: &'static str = "catalog.ratings/1";

    fn human(&self, page: &mut Page) {
        let columns = [Column::new("entry"), Column::new("stars"), Column::new("comment").wraps()];
        let mut table = Table::new("no ratings yet; make one: umcp catalog rate NAME 5", columns);
        for rating in &self.0 {
            table.row([
                Cell::from(&rating.key),
                super::search::stars(Some(rating.stars)).into(),
                rating.comment.clone().unwrap_or_default().into(),
            ]);
        }
        page.table(table);
    }

    fn ids(&self) -> Vec<String> {
        self.0.iter().map(|rating| rating.key.clone()).collect()
    }
}
