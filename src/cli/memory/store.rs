//! `memory store`.

use super::super::context::Context;
use super::say::Changed;
use super::{KindWord, ask, pair_of, time, triple_of, ttl, unexpected};
use crate::error::{Error, Result, codes};
use crate::memory::model::{DEFAULT, MAX_TEXT, New, Who, id};
use crate::memory::{Ask, Reply, change, transfer};
use crate::ui::State;
use clap::Args;
use serde_json::json;
use std::io::Read;

/// Keep a memory
///
/// A memory under a key takes the place of the one that was there. The same text of the same agent is kept once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  umcp memory store \"The user prefers Python for backend work\" --meta type=preference --meta domain=programming\n  umcp memory store --kind short-term --session sess_123 --key user_preference dark_mode\n  umcp memory store --kind semantic --triple 'Ada | works at | Acme'\n  umcp memory store --namespace team_knowledge --agent agent_a \"Client X prefers weekly status updates\" --tag client_x"
)]
pub struct Store {
    /// What to remember; `-` reads standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// What sort of memory it is: long-term by default
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<KindWord>,
    /// A name to get it by
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Where it belongs: `default` is shared, `agent/NAME` is an agent's own
    #[arg(long, short, value_name = "NAMESPACE", default_value = DEFAULT)]
    namespace: String,
    /// A word to sort by; may be given more than once
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    tag: Vec<String>,
    /// A field of metadata; a value that is JSON is kept as that
    #[arg(long, value_name = "FIELD=VALUE")]
    meta: Vec<String>,
    /// A relation
    #[arg(long, value_name = "SUBJECT|RELATION|OBJECT")]
    triple: Vec<String>,
    /// How much it counts, from 0 to 1
    #[arg(long, value_name = "0..1")]
    importance: Option<f32>,
    /// Forget it after this time, such as 30m or 90d
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    ttl: Option<u64>,
    /// When it was, if not now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Whose memory it is
    #[arg(long, value_name = "AGENT", alias = "agent-id")]
    agent: Option<String>,
    /// The session it belongs to
    #[arg(long, value_name = "SESSION", alias = "session-id")]
    session: Option<String>,
    /// The tool it comes from
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Store as this agent, with what it may do
    #[arg(long = "as", value_name = "AGENT", conflicts_with = "agent")]
    as_agent: Option<String>,
}

impl Store {
    pub fn run(self, ctx: &Context) -> Result<()> {
        let text = match self.text.as_deref() {
            Some("-") => stdin()?,
            Some(text) => text.into(),
            None if self.triple.is_empty() => {
                return Err(Error::new(&codes::USAGE, "what is to be remembered?")
                    .hint("umcp memory store \"The user prefers tea\""));
            }
            None => String::new(),
        };
        let new = New {
            namespace: self.namespace,
            kind: self.kind.map(KindWord::kind).unwrap_or_default(),
            key: self.key,
            text,
            triples: self.triple.iter().map(|text| triple_of(text)).collect::<Result<_>>()?,
            tags: self.tag,
            metadata: self.meta.iter().map(|pair| pair_of(pair)).collect::<Result<_>>()?,
            importance: self.importance,
            session: self.session.clone(),
            tool: self.tool,
            at: self.at.as_deref().map(|text| time(text, ctx.clock.now())).transpose()?,
            ttl_ms: self.ttl,
            agent: self.agent,
        };
        let who = Who { agent: self.as_agent, session: self.session };
        match ask(ctx, who, Ask::Store(vec![new]))? {
            Reply::Stored(stored) => {
                let all: Vec<_> = stored.iter().map(document).collect();
                let ids = stored.iter().map(|stored| stored.memory.id()).collect();
                let lines = stored.iter().map(line).collect();
                ctx.ui.show(&Changed { data: all.into_iter().next().unwrap_or_default(), lines, ids })
            }
            other => unexpected(&other),
        }
    }
}

fn document(stored: &change::Stored) -> serde_json::Value {
    let mut document = transfer::document(&stored.memory);
    document["new"] = stored.new.into();
    document["replaced"] = json!(stored.replaced.iter().map(|number| id(*number)).collect::<Vec<_>>());
    document
}

fn line(stored: &change::Stored) -> (State, String) {
    let (id_, namespace) = (stored.memory.id(), &stored.memory.namespace);
    let replaced: Vec<String> = stored.replaced.iter().map(|number| id(*number)).collect();
    match (stored.new, replaced.is_empty()) {
        (false, _) => (State::Off, format!("{id_} says the same already")),
        (true, true) => (State::Ok, format!("stored {id_} in {namespace}")),
        (true, false) => {
            (State::Ok, format!("stored {id_} in {namespace}, in the place of {}", replaced.join(", ")))
        }
    }
}

/// Standard input, as far as a memory could hold it.
pub fn stdin() -> Result<String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::new(&codes::IO, "cannot read standard input").because(error))?;
    // Cut in the middle of a character it is too long anyway.
    if bytes.len() > MAX_TEXT {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes)
        .map_err(|error| Error::new(&codes::VALUE_INVALID, "standard input is no text").because(error))
}
