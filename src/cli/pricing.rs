//! `umcp pricing`: the price book. Verbs here; what a price means stands in the noun `usage`.

use super::context::Context;
use crate::documents::{self, read_file};
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::ui::{Column, Output, Page, Table};
use crate::usage::money::Pico;
use crate::usage::price::{self, Book, Dollars, Line, PerTokens, Price, Request, file, presets};
use crate::usage::report::Report;
use crate::usage::{self, Cost, Entity};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp pricing import --preset anthropic\n  umcp pricing set sentiment --entity 'skill:sentiment*' --tokens-in 0.01 --tokens-out 0.03 --call 0.001 --hour 0.50\n  umcp pricing test skill:sentiment --tokens-in 1125 --tokens-out 375"
)]
pub struct Command {
    #[command(subcommand)]
    verb: Option<Verb>,
}

// The help of each verb stands on its arguments.
#[derive(Debug, Subcommand)]
enum Verb {
    #[command(alias = "ls")]
    List(List),
    #[command(alias = "export")]
    Show(Show),
    #[command(aliases = ["add", "create", "edit"])]
    Set(Box<Set>),
    #[command(aliases = ["rm", "remove"])]
    Delete(Delete),
    Import(Import),
    Test(Test),
    Model(Model),
}

impl Command {
    pub fn run(self, ctx: &Context) -> Result<()> {
        match self.verb.unwrap_or(Verb::List(List {})) {
            Verb::List(_) => ctx.ui.show(&Listed(ask(ctx, Request::Show)?)),
            Verb::Show(_) => ctx.ui.show(&Shown(ask(ctx, Request::Show)?)),
            Verb::Set(verb) => verb.run(ctx),
            Verb::Delete(verb) => verb.run(ctx),
            Verb::Import(verb) => verb.run(ctx),
            Verb::Test(verb) => verb.run(ctx),
            Verb::Model(verb) => verb.run(ctx),
        }
    }
}

/// List prices, in the order in which they are asked
#[derive(Debug, Args)]
struct List {}

/// Show the price book as a file that `pricing import` takes
#[derive(Debug, Args)]
struct Show {}

/// Set one price
///
/// Prices are in US dollars. The first price of the list that fits and has the part in question counts.
#[derive(Debug, Args)]
struct Set {
    #[arg(value_name = "NAME")]
    name: String,
    /// For what is used: SERVER.TOOL or TYPE:NAME; patterns take *
    #[arg(long, visible_alias = "tool", value_name = "PATTERN")]
    entity: Vec<String>,
    /// For this model; patterns take *
    #[arg(long, value_name = "PATTERN")]
    model: Vec<String>,
    /// For 1,000 tokens that the model reads
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    tokens_in: Option<Dollars>,
    /// For 1,000 tokens that the model writes
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    tokens_out: Option<Dollars>,
    /// For one call
    #[arg(long, alias = "api-call", value_name = "DOLLARS", value_parser = dollars)]
    call: Option<Dollars>,
    /// For one hour of computing
    #[arg(long, alias = "compute-hour", value_name = "DOLLARS", value_parser = dollars)]
    hour: Option<Dollars>,
    /// For one byte of arguments or result
    #[arg(long, value_name = "DOLLARS", value_parser = dollars)]
    byte: Option<Dollars>,
    /// From this day on (midnight UTC), or RFC 3339
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Until before this day
    #[arg(long, value_name = "DAY")]
    until: Option<String>,
}

fn dollars(text: &str) -> Result<Dollars, String> {
    Pico::parse(text).map(Dollars).map_err(|error| error.message)
}

impl Set {
    fn run(self, ctx: &Context) -> Result<()> {
        let per = |input: Option<Dollars>, output: Option<Dollars>| {
            (input.is_some() || output.is_some())
                .then(|| PerTokens { input: input.unwrap_or_default(), output: output.unwrap_or_default() })
        };
        let price = Price {
            name: self.name,
            entities: self.entity,
            models: self.model,
            from: self.from,
            until: self.until,
            tokens: per(self.tokens_in, self.tokens_out),
            api_calls: self.call,
            compute_hours: self.hour,
            bytes: self.byte,
        };
        put(ctx, Book { prices: vec![price], ..Book::default() }, false)
    }
}

/// Delete prices
#[derive(Debug, Args)]
struct Delete {
    #[arg(value_name = "PRICE", required = true)]
    names: Vec<String>,
}

impl Delete {
    fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        ctx.ui.show(&Listed(ask(ctx, Request::Delete { names: self.names, now })?))
    }
}

/// Take over prices from a file, or those of common models
#[derive(Debug, Args)]
struct Import {
    /// A price book as YAML, JSON or TOML
    #[arg(value_name = "FILE", required_unless_present = "preset")]
    file: Option<PathBuf>,
    /// The list prices of a maker of models: anthropic, openai or all
    #[arg(long, value_name = "MAKER", conflicts_with = "file")]
    preset: Option<String>,
    /// Forget all prices that are not in it
    #[arg(long)]
    replace: bool,
}

impl Import {
    fn run(self, ctx: &Context) -> Result<()> {
        let book = match (&self.file, &self.preset) {
            (Some(path), _) => file::parse(&path.display().to_string(), &read_file(path)?)?,
            (None, Some(maker)) => {
                ctx.ui.note(&format!(
                    "list prices as of {}; check them before you rely on them",
                    presets::AS_OF
                ));
                presets::preset(maker).ok_or_else(|| {
                    Error::new(&codes::VALUE_INVALID, format!("no prices of `{maker}` are known"))
                        .hint(format!("one of {}, all", presets::makers().join(", ")))
                })?
            }
            (None, None) => return Err(Error::bug("clap asks for a file or a preset")),
        };
        put(ctx, book, self.replace)
    }
}

/// Say which model a client speaks for, or forget it
#[derive(Debug, Args)]
struct Model {
    /// The client's name; patterns take *
    #[arg(value_name = "CLIENT")]
    client: String,
    /// The model, as prices name it
    #[arg(value_name = "MODEL")]
    model: String,
}

impl Model {
    fn run(self, ctx: &Context) -> Result<()> {
        put(ctx, Book { models: [(self.client, self.model)].into(), ..Book::default() }, false)
    }
}

/// Show what a use would cost, and by which prices
#[derive(Debug, Args)]
struct Test {
    /// SERVER.TOOL, or TYPE:NAME
    #[arg(value_name = "ENTITY")]
    entity: String,
    #[arg(long, value_name = "MODEL", help = "By this model")]
    model: Option<String>,
    #[arg(long, value_name = "CLIENT", help = "By this client")]
    client: Option<String>,
    /// Tokens that the model reads
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens_in: u64,
    /// Tokens that the model writes
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens_out: u64,
    /// Calls of a service
    #[arg(long, value_name = "N", default_value_t = 1)]
    calls: u64,
    /// How long it takes, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    duration: u64,
    /// Bytes of the result
    #[arg(long, value_name = "N", default_value_t = 0)]
    bytes: u64,
}

impl Test {
    fn run(self, ctx: &Context) -> Result<()> {
        let (word, name) = self.entity.split_once(':').unwrap_or(("tool", &self.entity));
        let (entity_type, entity) = match Entity::parse(word) {
            Some(found) => (found, name.to_string()),
            None => (Entity::Tool, self.entity.clone()),
        };
        let report = Report {
            entity_type,
            entity,
            model: self.model,
            client: self.client,
            input_tokens: Some(self.tokens_in),
            output_tokens: Some(self.tokens_out),
            api_calls: Some(self.calls),
            duration_us: self.duration.saturating_mul(1000),
            result_bytes: self.bytes,
            ..Report::default()
        };
        let (at, call) = report.into_call(ctx.clock.now())?;
        match ctx.call(usage::Request::Price(Request::Test { at, call: Box::new(call) }))? {
            Reply::Usage(usage::Reply::Price(price::Reply::Tested { cost, parts })) => {
                ctx.ui.show(&Tested { cost_usd: cost.map(|cost| cost.pico.dollars()), parts, cost })
            }
            other => engine::unexpected(&other),
        }
    }
}

#[derive(Serialize)]
struct Tested {
    cost_usd: Option<f64>,
    parts: Vec<Line>,
    cost: Option<Cost>,
}

impl Output for Tested {
    const KIND: &'static str = "pricing.test/1";

    fn human(&self, page: &mut Page) {
        let columns = [
            Column::new("part"),
            Column::new("amount").right(),
            Column::new("price"),
            Column::new("cost").right(),
        ];
        let mut table = Table::new("no price fits", columns);
        for line in &self.parts {
            let amount = match line.part {
                price::model::Part::ComputeHours => format!("{}ms", line.amount / 1000),
                _ => line.amount.to_string(),
            };
            table.row([line.part.word().into(), amount, line.price.clone(), format!("${}", line.cost)]);
        }
        page.table(table);
        if let Some(cost) = &self.cost {
            page.blank().text(format!("in all ${}", cost.pico));
        }
    }
}

fn put(ctx: &Context, book: Book, replace: bool) -> Result<()> {
    let request = Request::Put { book: Box::new(book), replace, now: ctx.clock.now() };
    ctx.ui.show(&Listed(ask(ctx, request)?))
}

/// The book after a request.
fn ask(ctx: &Context, request: Request) -> Result<Whole> {
    match ctx.call(usage::Request::Price(request))? {
        Reply::Usage(usage::Reply::Price(price::Reply::Book { version, book, .. })) => {
            Ok(Whole { version, book: *book })
        }
        other => engine::unexpected(&other),
    }
}

#[derive(Serialize)]
struct Whole {
    version: u32,
    #[serde(flatten)]
    book: Book,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Listed(Whole);

impl Output for Listed {
    const KIND: &'static str = "pricing.list/1";

    fn human(&self, page: &mut Page) {
        let Whole { version, book } = &self.0;
        let columns = [
            Column::new("price"),
            Column::new("for").optional(1),
            Column::new("1,000 tokens in").right(),
            Column::new("out").right(),
            Column::new("call").right(),
            Column::new("hour").right().optional(2),
            Column::new("byte").right().optional(3),
            Column::new("valid").optional(4),
        ];
        let mut table = Table::new("no prices yet: umcp pricing import --preset all", columns);
        let show = |dollars: Option<Dollars>| dollars.map_or_else(String::new, |it| format!("${}", it.0));
        for price in &book.prices {
            let whom: Vec<_> = price.entities.iter().chain(&price.models).map(String::as_str).collect();
            let valid = match (&price.from, &price.until) {
                (None, None) => String::new(),
                (Some(from), None) => format!("from {from}"),
                (None, Some(until)) => format!("until {until}"),
                (Some(from), Some(until)) => format!("{from} to {until}"),
            };
            table.row([
                price.name.clone(),
                if whom.is_empty() { "everything".into() } else { whom.join(" ") },
                show(price.tokens.map(|tokens| tokens.input)),
                show(price.tokens.map(|tokens| tokens.output)),
                show(price.api_calls),
                show(price.compute_hours),
                show(price.bytes),
                valid,
            ]);
        }
        page.table(table);
        if !book.models.is_empty() {
            page.blank()
                .pairs(book.models.iter().map(|(client, model)| (client, format!("speaks for {model}"))));
        }
        if *version > 0 {
            page.blank().text(format!("version {version}; the first price that fits counts"));
        }
    }

    fn ids(&self) -> Vec<String> {
        self.0.book.prices.iter().map(|price| price.name.clone()).collect()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Whole);

impl Output for Shown {
    const KIND: &'static str = "pricing.show/1";

    fn human(&self, page: &mut Page) {
        page.text(documents::write_yaml(&self.0.book).unwrap_or_default());
    }
}
