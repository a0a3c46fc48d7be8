//! The steps of a document. A step says what it does by one key (`tool`, `app`, `skill`, `workflow`, `command`, `http`, `agent`,
//! `wait`, `approval`, `set`)
//! or by `type` (`conditional`, `switch`, `parallel`, `foreach`, `repeat`, `try`).

use super::{MAX_NESTING, MAX_STEPS, Reader, is_name};
use crate::documents::{self, Node, Position, Value as Held};
use crate::workflows::model::{
    Action, Backoff, CONCURRENCY, Formula, Join, Own, Retry, Runs, Shape, Step, Wait,
};
use serde_json::Value;

/// Keys every step takes.
pub(in crate::workflows) const COMMON: [&str; 13] = [
    "id",
    "name",
    "description",
    "type",
    "if",
    "depends_on",
    "parallel",
    "timeout",
    "error_handling",
    "continue_on_error",
    "idempotent",
    "cache",
    "idempotency_key",
];
/// What a step may do, with the keys that go with it.
pub(in crate::workflows) const KINDS: [(&str, &[&str]); 16] = [
    ("tool", &["tool", "inputs", "with"]),
    ("app", &["app", "inputs", "with"]),
    ("workflow", &["workflow", "inputs", "with"]),
    ("command", &["command", "cwd", "stdin", "env"]),
    ("http", &["http", "method", "headers", "query", "body", "allow_private"]),
    // Before `skill`, which may also be what the agent follows.
    ("agent", &["agent", "prompt", "skill", "model", "cwd", "env"]),
    ("skill", &["skill", "inputs", "with"]),
    ("wait", &["wait"]),
    ("approval", &["approval", "message"]),
    ("set", &["set"]),
    ("conditional", &["condition", "then", "else"]),
    ("switch", &["on", "cases", "default"]),
    ("parallel", &["steps", "max_concurrency", "join"]),
    ("foreach", &["items", "as", "steps", "max_concurrency"]),
    ("repeat", &["steps", "until", "max", "pause"]),
    ("try", &["steps", "catch", "finally"]),
];
/// What `error_handling` takes.
pub(in crate::workflows) const ERROR_HANDLING: [&str; 7] =
    ["strategy", "max_attempts", "backoff", "delay", "max_delay", "retry_on", "fallback"];

/// Longest idempotency key, in bytes: what services that keep them take.
pub(in crate::workflows) const LONGEST_KEY: usize = 255;

impl Reader<'_> {
    /// A list of steps.
    pub(super) fn block(&mut self, node: &Node, depth: usize) -> Vec<Step> {
        if !node.is_list() {
            self.wrong(node.at, format!("steps are a list, not {}", node.word()));
            return Vec::new();
        }
        if depth > MAX_NESTING {
            self.wrong(node.at, format!("steps nest at most {MAX_NESTING} deep"));
            return Vec::new();
        }
        node.items().iter().filter_map(|step| self.step(step, depth)).collect()
    }

    fn nested(&mut self, node: &Node, key: &str, depth: usize) -> Vec<Step> {
        node.get(key).map(|steps| self.block(steps, depth + 1)).unwrap_or_default()
    }

    fn step(&mut self, node: &Node, depth: usize) -> Option<Step> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            if self.steps == MAX_STEPS + 1 {
                self.wrong(node.at, format!("a workflow has at most {MAX_STEPS} steps"));
            }
            return None;
        }
        if !node.is_map() {
            self.wrong(node.at, format!("a step is a map of keys, not {}", node.word()));
            return None;
        }
        let id = self.id(node);
        let kind = self.kind_of(node, &id)?;
        let known: Vec<&str> = COMMON.iter().chain(kind.1).copied().collect();
        self.only(node, &known, &format!("the {} step `{id}`", kind.0));
        let action = self.action(kind.0, node, &id, depth)?;
        let (retry, fallback, handled) = self.error_handling(node, depth);
        let cache_ms = self.time(node, "cache");
        if let (Some(cache), false) =
            (node.get("cache"), matches!(action, Action::Call { .. } | Action::Own { .. }))
        {
            self.wrong(cache.at, "only a step that calls something has a result to `cache`");
        }
        let idempotency_key = self.idempotency_key(node, &action);
        Some(Step {
            cache_ms,
            idempotency_key,
            at: node.at,
            condition: node.get("if").and_then(|condition| self.formula(condition, "if")),
            depends_on: self.depends_on(node),
            reads: Vec::new(),
            parallel: self.flag(node, "parallel").unwrap_or_default(),
            timeout_ms: self.time(node, "timeout"),
            retry,
            fallback,
            continue_on_error: self.flag(node, "continue_on_error").unwrap_or(handled),
            idempotent: self.flag(node, "idempotent").unwrap_or(true),
            action,
            id,
        })
    }

    /// The key of a step whose call another side can recognize.
    fn idempotency_key(&mut self, node: &Node, action: &Action) -> Option<Shape> {
        let key = node.get("idempotency_key")?;
        if !matches!(action, Action::Call { .. } | Action::Own { what: Own::Http, .. }) {
            self.wrong(key.at, "only a step that calls a tool or sends a request has an `idempotency_key`");
            return None;
        }
        let shape = self.shape(key);
        match &shape {
            Shape::Constant(value) => {
                if let Err(why) = keyed(value) {
                    self.wrong(key.at, why);
                }
            }
            Shape::Text(_) => {}
            _ => drop(self.wrong(key.at, format!("`idempotency_key` is a text, not {}", key.word()))),
        }
        Some(shape)
    }

    fn id(&mut self, node: &Node) -> String {
        let id = self.word(node, "id");
        match &id {
            None if node.get("id").is_none() => {
                self.wrong(node.at, "the step has no `id`").hint_last("add a line such as `id: fetch-data`");
            }
            Some(id) if !is_name(id) => {
                let at = node.get("id").map_or(node.at, |id| id.at);
                self.wrong(at, format!("`{id}` is no id of a step"))
                    .hint_last("ids have letters, digits, `-` and `_` and begin with a letter or digit");
            }
            _ => {}
        }
        id.unwrap_or_default()
    }

    fn kind_of(&mut self, node: &Node, id: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
        if let Some(kind) = node.get("type") {
            let word = kind.as_str().unwrap_or_default();
            let word = if word == "for_each" { "foreach" } else { word };
            if let Some(found) = KINDS.iter().find(|(name, _)| *name == word) {
                return Some(found);
            }
            self.wrong(kind.at, format!("`{word}` is no type of a step"));
            match documents::near(word, KINDS.iter().map(|(name, _)| *name)) {
                Some(near) => self.hint_last(format!("did you mean `{near}`?")),
                None => self.hint_last("types are conditional, switch, parallel, foreach, repeat and try"),
            }
            return None;
        }
        if let Some(found) = KINDS.iter().find(|(name, _)| node.get(name).is_some()) {
            return Some(found);
        }
        let near = node.entries().iter().find_map(|(key, _)| {
            documents::near(&key.name, KINDS.iter().map(|(name, _)| *name)).map(|near| (key.clone(), near))
        });
        match near {
            Some((key, near)) => self
                .wrong(key.at, format!("the step `{id}` has no key that says what it does"))
                .hint_last(format!("did you mean `{near}`?")),
            None => self
                .wrong(node.at, format!("the step `{id}` does not say what it does"))
                .hint_last("give it a `tool: SERVER.TOOL`, or a `type` such as `parallel`"),
        }
        None
    }

    fn depends_on(&mut self, node: &Node) -> Option<Vec<(String, Position)>> {
        let names = node.get("depends_on")?;
        let items = if names.is_list() { names.items() } else { std::slice::from_ref(names) };
        let mut found = Vec::new();
        for item in items {
            match item.as_str() {
                Some(name) => found.push((name.to_string(), item.at)),
                None => drop(self.wrong(item.at, "`depends_on` is a list of ids of steps")),
            }
        }
        Some(found)
    }

    /// The inputs of a call.
    fn with(&mut self, node: &Node) -> Shape {
        let Some(inputs) = node.get("inputs").or_else(|| node.get("with")) else {
            return Shape::Map(Vec::new());
        };
        let shape = self.shape(inputs);
        if !inputs.is_map() && !matches!(shape, Shape::Text(_)) {
            self.wrong(inputs.at, format!("`inputs` is a map of names, not {}", inputs.word()));
        }
        shape
    }

    fn needed(&mut self, node: &Node, key: &str, id: &str) -> Option<Formula> {
        match node.get(key) {
            Some(value) => self.formula(value, key),
            None => {
                self.wrong(node.at, format!("the step `{id}` needs `{key}`"));
                None
            }
        }
    }

    fn action(&mut self, kind: &str, node: &Node, id: &str, depth: usize) -> Option<Action> {
        Some(match kind {
            "tool" | "app" => {
                let at = node.get(kind).map_or(node.at, |target| target.at);
                let target = self.word(node, kind)?;
                if !target.contains('.') {
                    self.wrong(at, format!("`{target}` names no tool"))
                        .hint_last("a tool is SERVER.TOOL; `umcp tool list` shows all");
                }
                Action::Call { target, at, inputs: self.with(node) }
            }
            "workflow" | "skill" => {
                let at = node.get(kind).map_or(node.at, |name| name.at);
                let runs = if kind == "skill" { Runs::Skill } else { Runs::Workflow };
                Action::Run { runs, name: self.word(node, kind)?, at, inputs: self.with(node) }
            }
            "command" | "http" | "agent" => self.own(kind, node, id)?,
            "wait" => Action::Wait(self.wait(node.get("wait")?)),
            "approval" => {
                let message =
                    node.get("message").or_else(|| node.get("approval")).filter(|message| !message.is_null());
                let message = message.map(|message| match message.get("message") {
                    Some(inner) => self.shape(inner),
                    None => self.shape(message),
                });
                Action::Approval {
                    message: message.unwrap_or(Shape::Constant(Value::from(format!("go on with `{id}`?")))),
                }
            }
            "set" => Action::Set { values: self.shape(node.get("set")?) },
            "conditional" => Action::Conditional {
                condition: self.needed(node, "condition", id)?,
                then: self.nested(node, "then", depth),
                otherwise: self.nested(node, "else", depth),
            },
            "switch" => self.switch(node, id, depth)?,
            "parallel" => {
                let steps = self.nested(node, "steps", depth);
                let join = self.join(node, steps.len());
                let max_concurrency = self.count(node, "max_concurrency", 1, 256).unwrap_or(CONCURRENCY);
                Action::Parallel { steps, max_concurrency, join }
            }
            "foreach" => Action::Foreach {
                items: self.needed(node, "items", id)?,
                name: self.word(node, "as").unwrap_or_else(|| "item".into()),
                steps: self.nested(node, "steps", depth),
                max_concurrency: self.count(node, "max_concurrency", 1, 256).unwrap_or(1),
            },
            "repeat" => Action::Repeat {
                steps: self.nested(node, "steps", depth),
                until: node.get("until").and_then(|until| self.formula(until, "until")),
                max: self.count(node, "max", 1, 10_000).unwrap_or(100),
                pause_ms: self.time(node, "pause").unwrap_or(0),
            },
            _ => Action::Try {
                steps: self.nested(node, "steps", depth),
                catch: self.nested(node, "catch", depth),
                finally: self.nested(node, "finally", depth),
            },
        })
    }

    fn wait(&mut self, node: &Node) -> Wait {
        let word = node.scalar().unwrap_or_default();
        if let Some(ms) = super::duration(&word) {
            return Wait::For { ms };
        }
        let shape = self.shape(node);
        if let Shape::Constant(value) = &shape
            && value.as_str().and_then(crate::clock::Timestamp::parse).is_none()
        {
            self.wrong(
                node.at,
                "`wait` is a time such as `30s`, an instant such as 2027-01-01T09:00:00Z, or an expression",
            );
        }
        Wait::Computed(shape)
    }

    fn switch(&mut self, node: &Node, id: &str, depth: usize) -> Option<Action> {
        let on = self.needed(node, "on", id)?;
        let mut cases = Vec::new();
        let Some(list) = node.get("cases") else {
            self.wrong(node.at, format!("the step `{id}` needs `cases`"));
            return None;
        };
        // A map of values to steps, or a list of `{value, steps}`.
        for (key, steps) in list.entries() {
            let value = Shape::Constant(Value::from(self.masked.unmask(&key.name)));
            cases.push((value, self.block(steps, depth + 1)));
        }
        for case in list.items() {
            self.only(case, &["value", "steps"], "a case");
            let value = case.get("value").map_or(Shape::Constant(Value::Null), |value| self.shape(value));
            cases.push((value, self.nested(case, "steps", depth)));
        }
        Some(Action::Switch { on, cases, default: self.nested(node, "default", depth) })
    }

    fn join(&mut self, node: &Node, steps: usize) -> Join {
        let Some(join) = node.get("join") else { return Join::All };
        match join.scalar().as_deref() {
            Some("all") => Join::All,
            Some("any") => Join::Some(1),
            Some(word) => match word.parse::<usize>() {
                Ok(wanted) if (1..=steps).contains(&wanted) => Join::Some(wanted),
                _ => {
                    self.wrong(join.at, format!("`join` is `all`, `any` or a number from 1 to {steps}"));
                    Join::All
                }
            },
            None => {
                self.wrong(join.at, "`join` is `all`, `any` or a number");
                Join::All
            }
        }
    }

    /// Retry, fallback, and whether the run goes on after a failure.
    fn error_handling(&mut self, node: &Node, depth: usize) -> (Retry, Vec<Step>, bool) {
        let mut retry = Retry::default();
        let Some(node) = node.get("error_handling") else { return (retry, Vec::new(), false) };
        self.only(node, &ERROR_HANDLING, "`error_handling`");
        let strategy = self.word(node, "strategy");
        if let Some(word) = strategy.as_deref()
            && !["retry", "fail", "continue", "fallback"].contains(&word)
        {
            let at = node.get("strategy").map_or(node.at, |word| word.at);
            self.wrong(at, format!("`{word}` is no strategy"))
                .hint_last("strategies are retry, fail, continue and fallback");
        }
        let retries = strategy.as_deref() == Some("retry");
        let attempts = self.count(node, "max_attempts", 1, 100);
        retry.attempts = u32::try_from(attempts.unwrap_or(if retries { 3 } else { 1 })).unwrap_or(1);
        if let Some(word) = self.word(node, "backoff") {
            retry.backoff = match word.as_str() {
                "fixed" | "constant" => Backoff::Fixed,
                "linear" => Backoff::Linear,
                "exponential" => Backoff::Exponential,
                _ => {
                    let at = node.get("backoff").map_or(node.at, |word| word.at);
                    self.wrong(at, format!("`{word}` is no backoff"))
                        .hint_last("it is fixed, linear or exponential");
                    Backoff::Exponential
                }
            };
        }
        retry.delay_ms = self.time(node, "delay").unwrap_or(retry.delay_ms);
        retry.max_delay_ms = self.time(node, "max_delay").unwrap_or(retry.max_delay_ms);
        if let Some(on) = node.get("retry_on") {
            let items =
                if let Held::List(items) = &on.value { items.as_slice() } else { std::slice::from_ref(on) };
            retry.on = items.iter().filter_map(Node::scalar).collect();
        }
        (retry, self.nested(node, "fallback", depth), strategy.as_deref() == Some("continue"))
    }
}

/// The text of a key; HTTP carries it in a header.
///
/// # Errors
/// What is wrong with it, as a fragment.
pub(in crate::workflows) fn keyed(value: &Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("an idempotency key is a text, not {value}")),
    };
    match text.bytes().all(|byte| byte.is_ascii_graphic()) && (1..=LONGEST_KEY).contains(&text.len()) {
        true => Ok(text),
        false => Err(format!("an idempotency key has 1 to {LONGEST_KEY} plain characters and no blanks")),
    }
}
