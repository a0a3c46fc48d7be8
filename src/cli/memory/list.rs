//! `memory get`, `list` and `query`.

use super::super::context::Context;
use super::say::{Listed, Shown};
use super::{Where, ask, unexpected};
use crate::error::Result;
use crate::memory::select::{Order, Select};
use crate::memory::{Ask, Reply};
use clap::{Args, ValueEnum};

/// Show one memory, by its id or its key
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory get m12\n  umcp memory get user_preference --session sess_123"
)]
pub struct Get {
    #[arg(value_name = "MEMORY")]
    memory: String,
    #[command(flatten)]
    like: Where,
}

/// List memories, newest first
#[derive(Debug, Default, Args)]
pub struct List {
    #[command(flatten)]
    like: Where,
    #[command(flatten)]
    page: PageOf,
}

/// List memories by what they are like, in an order
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  umcp memory query --filter type=user_preference --filter domain=scheduling --order-by timestamp --limit 10"
)]
pub struct Query {
    #[command(flatten)]
    like: Where,
    #[command(flatten)]
    page: PageOf,
    /// What comes first
    #[arg(long, value_enum, default_value = "timestamp")]
    order_by: OrderWord,
}

#[derive(Debug, Args)]
struct PageOf {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Leave out so many first
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u32,
}

impl Default for PageOf {
    fn default() -> Self {
        Self { limit: 50, offset: 0 }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OrderWord {
    /// The newest
    Timestamp,
    /// The oldest
    Oldest,
    /// The most important
    Importance,
    /// What changed last
    Updated,
}

impl Get {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let now = ctx.clock.now();
        let filter = self.like.filter(now)?;
        match ask(ctx, self.like.who(), Ask::Get { word: self.memory, filter })? {
            Reply::Memory(memory) => ctx.ui.show(&Shown(*memory, now)),
            other => unexpected(&other),
        }
    }
}

impl List {
    pub fn run(self, ctx: &Context) -> Result<()> {
        show(ctx, &self.like, &self.page, Order::Timestamp)
    }
}

impl Query {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let order = match self.order_by {
            OrderWord::Timestamp => Order::Timestamp,
            OrderWord::Oldest => Order::Oldest,
            OrderWord::Importance => Order::Importance,
            OrderWord::Updated => Order::Updated,
        };
        show(ctx, &self.like, &self.page, order)
    }
}

fn show(ctx: &Context, like: &Where, page: &PageOf, order: Order) -> Result<()> {
    let now = ctx.clock.now();
    let list = Select { filter: like.filter(now)?, order, limit: page.limit, offset: page.offset };
    match ask(ctx, like.who(), Ask::List(list))? {
        Reply::Memories(memories, all) => {
            let memories = memories.into_iter().map(|memory| Shown(memory, now)).collect();
            ctx.ui.show(&Listed { memories, all, now })
        }
        other => unexpected(&other),
    }
}
