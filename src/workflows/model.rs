//! What a workflow is: inputs, a tree of steps, outputs. Pure data with the place of everything that can be wrong.
//! Read from YAML or JSON by `read`, checked by `check`, walked by `machine`.
//! Long because the language's types are one tree, and are read together.

use crate::documents::Position;
use crate::expressions::{Expression, Fault, Scope, Template};
use serde_json::Value;
use std::ops::Range;

/// A whole workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    pub name: String,
    pub version: String,
    pub description: String,
    pub inputs: Vec<Input>,
    /// Named values that steps use as `${{ templates.NAME }}`; they see `inputs` only.
    pub templates: Vec<(String, Shape)>,
    pub steps: Vec<Step>,
    /// Run after the others, whatever became of them.
    pub finally: Vec<Step>,
    pub outputs: Vec<(String, Shape)>,
    /// Milliseconds the whole run may take.
    pub timeout_ms: Option<u64>,
    /// Steps at the same time, over the whole run.
    pub max_concurrency: usize,
}

/// Steps at the same time when a workflow says nothing.
pub const CONCURRENCY: usize = 16;

/// What a run is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub name: String,
    pub kind: InputKind,
    pub required: bool,
    pub default: Option<Value>,
    /// The only values it takes; empty: any.
    pub choices: Vec<Value>,
    /// Its value is sealed while the run goes on, and is nowhere else.
    pub secret: bool,
    pub description: String,
    pub at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    Text,
    Integer,
    Number,
    Boolean,
    List,
    Object,
    Any,
}

impl InputKind {
    /// The words a document may use.
    pub const WORDS: [(&'static str, Self); 12] = [
        ("string", Self::Text),
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("int", Self::Integer),
        ("number", Self::Number),
        ("float", Self::Number),
        ("boolean", Self::Boolean),
        ("bool", Self::Boolean),
        ("array", Self::List),
        ("list", Self::List),
        ("object", Self::Object),
        ("any", Self::Any),
    ];

    /// The word of JSON Schema; `None` for any.
    pub fn schema(self) -> Option<&'static str> {
        Some(match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "array",
            Self::Object => "object",
            Self::Any => return None,
        })
    }

    /// Whether a value is of this kind.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Any => true,
        }
    }
}

/// A value with expressions anywhere inside.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Constant(Value),
    Text(Template),
    List(Vec<Shape>),
    Map(Vec<(String, Shape)>),
}

impl Shape {
    /// Its value in a scope.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Text(template) => template.render(scope),
            Self::List(shapes) => shapes.iter().map(|shape| shape.render(scope)).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, shape)| Ok((key.clone(), shape.render(scope)?))).collect()
            }
        }
    }

    /// Shows `visit` every expression, with its bytes in the document.
    pub fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression, &'a Range<usize>)) {
        match self {
            Self::Constant(_) => {}
            Self::Text(template) => template.expressions().for_each(|(expression, at)| visit(expression, at)),
            Self::List(shapes) => shapes.iter().for_each(|shape| shape.visit(visit)),
            Self::Map(entries) => entries.iter().for_each(|(_, shape)| shape.visit(visit)),
        }
    }
}

/// A condition or a list to walk over: one expression, written with or without `${{ }}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    pub expression: Expression,
    /// Bytes of the expression in the document.
    pub at: Range<usize>,
}

impl Formula {
    /// Its value; faults have their place in the document.
    pub fn value(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        self.expression.evaluate(scope).map_err(|fault| fault.shifted(self.at.start))
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub id: String,
    pub at: Position,
    /// Only when this holds.
    pub condition: Option<Formula>,
    /// Named steps to wait for, with the place of each name; `None`: all before it.
    pub depends_on: Option<Vec<(String, Position)>>,
    /// Steps whose results it reads: it waits for them too.
    pub reads: Vec<String>,
    /// Runs beside its neighbours that say the same.
    pub parallel: bool,
    pub timeout_ms: Option<u64>,
    pub retry: Retry,
    /// Steps to run instead when it has failed for good.
    pub fallback: Vec<Step>,
    /// A failure is noted and the run goes on.
    pub continue_on_error: bool,
    /// `false`: never run again by itself after an interruption.
    pub idempotent: bool,
    /// A result is good for this long, in any run.
    pub cache_ms: Option<u64>,
    /// What tells the other side that two attempts are the same; `None`: the run and the path of the step.
    pub idempotency_key: Option<Shape>,
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Calls a tool, `server.tool`.
    Call {
        target: String,
        at: Position,
        inputs: Shape,
    },
    /// Runs another workflow, or a skill, to its end; its outputs are the result.
    Run {
        runs: Runs,
        /// Of a skill also `name@range`.
        name: String,
        at: Position,
        inputs: Shape,
    },
    /// Something umcp does itself, with the values it takes.
    Own {
        what: Own,
        inputs: Shape,
    },
    Wait(Wait),
    /// Waits for a person.
    Approval {
        message: Shape,
    },
    /// Computes values.
    Set {
        values: Shape,
    },
    Conditional {
        condition: Formula,
        then: Vec<Step>,
        otherwise: Vec<Step>,
    },
    Switch {
        on: Formula,
        cases: Vec<(Shape, Vec<Step>)>,
        default: Vec<Step>,
    },
    Parallel {
        steps: Vec<Step>,
        max_concurrency: usize,
        join: Join,
    },
    Foreach {
        items: Formula,
        name: String,
        steps: Vec<Step>,
        max_concurrency: usize,
    },
    Repeat {
        steps: Vec<Step>,
        until: Option<Formula>,
        max: usize,
        pause_ms: u64,
    },
    Try {
        steps: Vec<Step>,
        catch: Vec<Step>,
        finally: Vec<Step>,
    },
}

/// What a step runs that has steps of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    Workflow,
    Skill,
}

impl Runs {
    pub fn word(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Skill => "skill",
        }
    }
}

/// What umcp does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// Runs a program.
    Command,
    /// Sends a request.
    Http,
    /// Asks an agent's program.
    Agent,
}

impl Own {
    pub fn word(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Http => "http",
            Self::Agent => "agent",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    For {
        ms: u64,
    },
    /// An expression that gives seconds, or an RFC 3339 instant.
    Computed(Shape),
}

/// When a parallel step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    All,
    /// So many successes are enough; the rest is cancelled.
    Some(usize),
}

/// What is done about a failure of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// At least 1.
    pub attempts: u32,
    pub backoff: Backoff,
    pub delay_ms: u64,
    pub max_delay_ms: u64,
    /// Words an error must match one of; empty: every error that can pass.
    pub on: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    Fixed,
    Linear,
    Exponential,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff: Backoff::Exponential,
            delay_ms: 1000,
            max_delay_ms: 300_000,
            on: Vec::new(),
        }
    }
}

impl Retry {
    /// The pause after a failed attempt, which counts from 1, in milliseconds.
    pub fn pause_ms(&self, attempt: u32) -> u64 {
        let times = match self.backoff {
            Backoff::Fixed => 1,
            Backoff::Linear => u64::from(attempt),
            Backoff::Exponential => 1 << attempt.saturating_sub(1).min(30),
        };
        self.delay_ms.saturating_mul(times).min(self.max_delay_ms)
    }

    /// Whether a failure is one to try again after.
    pub fn matches(&self, failure: &super::journal::Failure) -> bool {
        if self.on.is_empty() {
            return true;
        }
        self.on.iter().any(|word| failure.matches(word))
    }
}

impl Action {
    /// The word of its kind, as documents write it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Call { .. } => "tool",
            Self::Run { runs, .. } => runs.word(),
            Self::Own { what, .. } => what.word(),
            Self::Wait(_) => "wait",
            Self::Approval { .. } => "approval",
            Self::Set { .. } => "set",
            Self::Conditional { .. } => "conditional",
            Self::Switch { .. } => "switch",
            Self::Parallel { .. } => "parallel",
            Self::Foreach { .. } => "foreach",
            Self::Repeat { .. } => "repeat",
            Self::Try { .. } => "try",
        }
    }

    /// The lists of steps inside, with what each is called.
    pub fn blocks(&self) -> Vec<(&'static str, &[Step])> {
        match self {
            Self::Conditional { then, otherwise, .. } => vec![("then", then), ("else", otherwise)],
            Self::Switch { cases, default, .. } => {
                let cases = cases.iter().map(|(_, steps)| ("case", steps.as_slice()));
                cases.chain([("default", default.as_slice())]).collect()
            }
            Self::Parallel { steps, .. } => vec![("steps", steps)],
            Self::Foreach { steps, .. } => vec![("each", steps)],
            Self::Repeat { steps, .. } => vec![("again", steps)],
            Self::Try { steps, catch, finally } => {
                vec![("steps", steps), ("catch", catch), ("finally", finally)]
            }
            _ => Vec::new(),
        }
    }

    /// The values and conditions of the step itself.
    pub fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression, &'a Range<usize>)) {
        match self {
            Self::Call { inputs, .. } | Self::Run { inputs, .. } | Self::Own { inputs, .. } => {
                inputs.visit(visit);
            }
            Self::Wait(Wait::Computed(shape)) => shape.visit(visit),
            Self::Wait(Wait::For { .. }) | Self::Parallel { .. } | Self::Try { .. } => {}
            Self::Approval { message } => message.visit(visit),
            Self::Set { values } => values.visit(visit),
            Self::Conditional { condition, .. } => visit(&condition.expression, &condition.at),
            Self::Switch { on, cases, .. } => {
                visit(&on.expression, &on.at);
                cases.iter().for_each(|(value, _)| value.visit(visit));
            }
            Self::Foreach { items, .. } => visit(&items.expression, &items.at),
            // `until` sees the steps of the round and is looked at inside.
            Self::Repeat { .. } => {}
        }
    }
}
