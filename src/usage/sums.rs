//! What records add up to, and by what they are told apart. Pure: nothing here knows the store.
//! Rule: sums do not depend on the order in which records come, and never wrap.

use super::money::Pico;
use super::record::{Call, Class, Entity};
use serde::{Deserialize, Serialize};

/// Characters of a name that count; a longer one is cut.
const LONGEST: usize = 200;

/// What tells records apart in the sums. An empty text is one that is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dims {
    pub entity: Entity,
    pub server: String,
    pub tool: String,
    pub client: String,
    pub agent: String,
    pub user: String,
    pub environment: String,
    pub model: String,
    pub workflow: String,
}

/// One of the fields of [`Dims`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    EntityType,
    /// The whole path, such as `server.tool`.
    Entity,
    Server,
    Tool,
    Client,
    Agent,
    User,
    Environment,
    Model,
    Workflow,
}

impl Dimension {
    pub const ALL: [Self; 10] = [
        Self::EntityType,
        Self::Entity,
        Self::Server,
        Self::Tool,
        Self::Client,
        Self::Agent,
        Self::User,
        Self::Environment,
        Self::Model,
        Self::Workflow,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::EntityType => "entity_type",
            Self::Entity => "entity",
            Self::Server => "server",
            Self::Tool => "tool",
            Self::Client => "client",
            Self::Agent => "agent",
            Self::User => "user",
            Self::Environment => "environment",
            Self::Model => "model",
            Self::Workflow => "workflow",
        }
    }

    /// Also by the other names people have for them.
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.replace('-', "_");
        match word.as_str() {
            "type" => Some(Self::EntityType),
            "app" | "skill" => Some(if word == "app" { Self::Server } else { Self::Entity }),
            "profile" => Some(Self::Environment),
            _ => Self::ALL.into_iter().find(|dimension| dimension.word() == word),
        }
    }
}

impl Dims {
    pub fn of(call: &Call) -> Self {
        let text = |text: &Option<String>| cut(text.as_deref().unwrap_or_default());
        let detail = &call.detail;
        let environment = if detail.environment.is_some() { &detail.environment } else { &call.profile };
        Self {
            entity: detail.entity,
            server: cut(&call.server),
            tool: cut(&call.tool),
            client: cut(&call.client),
            agent: text(&detail.agent),
            user: text(&detail.user),
            environment: text(environment),
            model: text(&detail.model),
            workflow: text(&detail.workflow),
        }
    }

    /// What stands for all that found no room in its time.
    pub fn rest() -> Self {
        let rest = || String::from("(other)");
        Self { server: rest(), tool: rest(), client: rest(), ..Self::default() }
    }

    pub fn value(&self, dimension: Dimension) -> String {
        match dimension {
            Dimension::EntityType => self.entity.word().into(),
            Dimension::Entity => match (self.server.as_str(), self.tool.as_str()) {
                ("", tool) => tool.into(),
                (server, "") => server.into(),
                (server, tool) => format!("{server}.{tool}"),
            },
            Dimension::Server => self.server.clone(),
            Dimension::Tool => self.tool.clone(),
            Dimension::Client => self.client.clone(),
            Dimension::Agent => self.agent.clone(),
            Dimension::User => self.user.clone(),
            Dimension::Environment => self.environment.clone(),
            Dimension::Model => self.model.clone(),
            Dimension::Workflow => self.workflow.clone(),
        }
    }
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What some records have in sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    pub records: u64,
    pub failed: u64,
    pub cached: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Records whose tokens were estimated from their bytes.
    pub estimated: u64,
    pub api_calls: u64,
    pub request_bytes: u64,
    pub result_bytes: u64,
    pub storage_bytes: u64,
    pub compute_us: u64,
    pub duration_us: u64,
    pub slowest_us: u64,
    pub cost: Pico,
    /// Records that have a cost.
    pub priced: u64,
    /// How many took how long: numbers of [`step`], in order.
    pub steps: Vec<(u16, u64)>,
}

impl Sums {
    pub fn of(call: &Call) -> Self {
        let mut sums = Self::default();
        sums.count(call);
        sums
    }

    /// Adds one record.
    pub fn count(&mut self, call: &Call) {
        let tokens = call.tokens_by_way();
        let pairs = [
            (&mut self.records, 1),
            (&mut self.failed, u64::from(call.class != Class::Ok)),
            (&mut self.cached, u64::from(call.cached)),
            (&mut self.input_tokens, tokens.input),
            (&mut self.output_tokens, tokens.output),
            (&mut self.estimated, u64::from(call.detail.tokens.is_none())),
            (&mut self.api_calls, call.api_calls()),
            (&mut self.request_bytes, call.request_bytes),
            (&mut self.result_bytes, call.result_bytes),
            (&mut self.storage_bytes, call.detail.storage_bytes),
            (&mut self.compute_us, call.compute_us()),
            (&mut self.duration_us, call.duration_us),
            (&mut self.priced, u64::from(call.detail.cost.is_some())),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
        self.slowest_us = self.slowest_us.max(call.duration_us);
        self.cost += call.detail.cost.map_or(Pico(0), |cost| cost.pico);
        self.took(step(call.duration_us), 1);
    }

    fn took(&mut self, step: u16, count: u64) {
        match self.steps.binary_search_by_key(&step, |it| it.0) {
            Ok(at) => self.steps[at].1 = self.steps[at].1.saturating_add(count),
            Err(at) => self.steps.insert(at, (step, count)),
        }
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.records, other.records),
            (&mut self.failed, other.failed),
            (&mut self.cached, other.cached),
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.estimated, other.estimated),
            (&mut self.api_calls, other.api_calls),
            (&mut self.request_bytes, other.request_bytes),
            (&mut self.result_bytes, other.result_bytes),
            (&mut self.storage_bytes, other.storage_bytes),
            (&mut self.compute_us, other.compute_us),
            (&mut self.duration_us, other.duration_us),
            (&mut self.priced, other.priced),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
        self.slowest_us = self.slowest_us.max(other.slowest_us);
        self.cost += other.cost;
        other.steps.iter().for_each(|(step, count)| self.took(*step, *count));
    }

    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// How long `part` (0 to 1) of the records took at most, in microseconds, no more than an eighth too much.
    pub fn within_us(&self, part: f64) -> u64 {
        let wanted = (part * self.records as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (step, count) in &self.steps {
            seen += count;
            if seen >= wanted {
                return upper(*step).min(self.slowest_us);
            }
        }
        self.slowest_us
    }
}

/// The class of a duration: eight classes between a power of two and the next.
fn step(us: u64) -> u16 {
    if us < 8 {
        return us as u16;
    }
    let power = 63 - us.leading_zeros();
    let eighth = (us >> (power - 3)) & 7;
    u16::try_from((u64::from(power) - 2) * 8 + eighth).unwrap_or(u16::MAX)
}

/// The longest duration of a class.
fn upper(step: u16) -> u64 {
    if step < 8 {
        return u64::from(step);
    }
    let (power, eighth) = (u32::from(step / 8) + 2, u64::from(step % 8));
    let width = 1u64 << (power - 3);
    (8 + eighth).saturating_mul(width).saturating_add(width - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::record::tests::call;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_duration_is_at_most_an_eighth_off(us: u64) {
            let shown = upper(step(us));
            prop_assert!(shown >= us && shown - us <= us / 8, "{us} {shown}");
        }

        #[test]
        fn the_order_makes_no_difference(sizes in proptest::collection::vec(0u64..1_000_000, 1..20)) {
            let calls: Vec<Sums> = sizes
                .iter()
                .map(|size| Sums::of(&Call { duration_us: *size, ..call(*size) }))
                .collect();
            let sum = |all: &mut dyn Iterator<Item = &Sums>| {
                let mut sum = Sums::default();
                all.for_each(|one| sum.add(one));
                sum
            };
            prop_assert_eq!(sum(&mut calls.iter()), sum(&mut calls.iter().rev()));
        }
    }

    #[test]
    fn half_of_the_calls_took_so_long() {
        let mut sums = Sums::default();
        for us in 1..=100 {
            sums.add(&Sums::of(&Call { duration_us: us * 100, ..call(1) }));
        }
        assert_eq!((sums.within_us(0.5), sums.within_us(1.0), sums.records), (5119, 10_000, 100));
        assert_eq!(Sums::default().within_us(0.5), 0);
    }

    #[test]
    fn nothing_wraps() {
        let mut sums = Sums::of(&call(u64::MAX));
        sums.add(&Sums::of(&call(u64::MAX)));
        assert_eq!(sums.result_bytes, u64::MAX);
        let long = Dims::of(&Call { tool: "ü".repeat(5000), ..call(1) });
        assert_eq!(long.tool.chars().count(), LONGEST);
    }

    #[test]
    fn words_for_dimensions() {
        for dimension in Dimension::ALL {
            assert_eq!(Dimension::parse(dimension.word()), Some(dimension));
        }
        let parsed = ["app", "profile", "entity-type", "x"].map(Dimension::parse);
        let expected = [Dimension::Server, Dimension::Environment, Dimension::EntityType];
        assert_eq!(parsed, [Some(expected[0]), Some(expected[1]), Some(expected[2]), None]);
    }
}
