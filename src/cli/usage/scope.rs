//! What a verb looks at: a stretch of time, and which records of it.

use super::super::context::Context;
use crate::engine::{self, Reply};
use crate::error::{Error, Result, codes};
use crate::usage::period::{Step, Window};
use crate::usage::query::{Filter, Point, Query};
use crate::usage::sums::Dimension;
use crate::usage::{self, Entity};
use clap::Args;
use jiff::tz::TimeZone;

#[derive(Debug, Clone, Default, Args)]
pub struct Scope {
    /// today, yesterday, hour, week, month, quarter, year, all, 7d, 2026, 2026-01 or 2026-01-31
    #[arg(long, short, value_name = "PERIOD")]
    pub period: Option<String>,
    /// From then on: a day, RFC 3339, or how long ago, such as 2h
    #[arg(long, value_name = "TIME", alias = "start-date", conflicts_with = "period")]
    pub since: Option<String>,
    /// Until before then
    #[arg(long, value_name = "TIME", alias = "end-date", conflicts_with = "period")]
    pub until: Option<String>,
    /// Only what is accounted to this user; patterns take *
    #[arg(long, value_name = "USER", alias = "user-id")]
    pub user: Option<String>,
    /// Only of this client
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<String>,
    /// Only of this agent
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// Only in this profile or environment
    #[arg(long, visible_alias = "profile", value_name = "NAME")]
    pub environment: Option<String>,
    /// Only of this server or app
    #[arg(long, visible_alias = "app", value_name = "SERVER")]
    pub server: Option<String>,
    /// Only of this tool (SERVER.TOOL) or whatever was used
    #[arg(long, visible_alias = "entity", value_name = "TOOL")]
    pub tool: Option<String>,
    /// Only by this model
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Only of this workflow
    #[arg(long, value_name = "WORKFLOW")]
    pub workflow: Option<String>,
    /// Only of this kind: tool, app, skill, workflow, schedule or server
    #[arg(long = "type", value_name = "TYPE", value_parser = entity_type)]
    pub entity_type: Option<String>,
}

fn entity_type(word: &str) -> Result<String, String> {
    Entity::parse(word).map(|_| word.to_string()).ok_or_else(|| {
        let words: Vec<_> = Entity::ALL.iter().map(|entity| entity.word()).collect();
        format!("it is one of {}", words.join(", "))
    })
}

/// Reads a dimension for clap.
pub fn dimension(word: &str) -> Result<Dimension, String> {
    Dimension::parse(word).ok_or_else(|| {
        let words: Vec<_> = Dimension::ALL.iter().map(|dimension| dimension.word()).collect();
        format!("it is one of {}, app or profile", words.join(", "))
    })
}

/// Reads a step for clap.
pub fn step(word: &str) -> Result<Step, String> {
    Step::parse(word).ok_or_else(|| "it is one of minute, hour, day, week, month".into())
}

impl Scope {
    pub fn window(&self, ctx: &Context, otherwise: &str) -> Result<Window> {
        let (now, zone) = (ctx.clock.now(), TimeZone::system());
        if self.since.is_none() && self.until.is_none() {
            return Window::parse(self.period.as_deref().unwrap_or(otherwise), now, &zone);
        }
        let moment = |word: &String| Window::moment(word, now, &zone);
        let until = self.until.as_ref().map(moment).transpose()?;
        let until = until.unwrap_or_else(|| Window::now(now));
        let from = self.since.as_ref().map(moment).transpose()?.unwrap_or_default();
        if from >= until {
            return Err(Error::new(&codes::VALUE_INVALID, "the time ends before it begins")
                .hint("give --since an earlier moment than --until"));
        }
        Ok(Window { from, until })
    }

    pub fn filter(&self) -> Filter {
        let fits = [
            (Dimension::User, &self.user),
            (Dimension::Client, &self.client),
            (Dimension::Agent, &self.agent),
            (Dimension::Environment, &self.environment),
            (Dimension::Server, &self.server),
            (Dimension::Entity, &self.tool),
            (Dimension::Model, &self.model),
            (Dimension::Workflow, &self.workflow),
            (Dimension::EntityType, &self.entity_type),
        ];
        let given = |(dimension, word): (Dimension, &Option<String>)| Some((dimension, word.clone()?));
        Filter { fits: fits.into_iter().filter_map(given).collect() }
    }

    /// The sums of one window.
    pub fn sums(&self, ctx: &Context, window: Window, group_by: &[Dimension]) -> Result<Point> {
        let edges = vec![window.from, window.until];
        let mut points = self.points(ctx, edges, group_by)?;
        points.pop().ok_or_else(|| Error::bug("a window without its sums"))
    }

    pub fn points(
        &self,
        ctx: &Context,
        edges: Vec<crate::clock::Timestamp>,
        group_by: &[Dimension],
    ) -> Result<Vec<Point>> {
        let query = Query { edges, group_by: group_by.to_vec(), filter: self.filter() };
        match ctx.call(usage::Request::Query(query))? {
            Reply::Usage(usage::Reply::Points(points)) => Ok(points),
            other => engine::unexpected(&other),
        }
    }
}

/// A window as people read it.
pub fn shown(window: Window) -> String {
    let zone = TimeZone::system();
    let show = |at| usage::period::show(at, Step::Minute, &zone);
    match window.from.0 {
        0 => format!("until {}", show(window.until)),
        _ => format!("{} to {}", show(window.from), show(window.until)),
    }
}
