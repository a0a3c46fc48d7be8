//! What a document says as a whole: names that exist, steps that can begin, inputs that are used, tools that take what
//! they are given. Finds everything at once; also notes in each step which others it reads.
//! Long because one walk over the document answers all of it.

mod graph;

use super::model::{Action, Own, Runs, Shape, Step, Workflow};
use crate::documents::{self, Position, Source};
use crate::error::Error;
use crate::expressions::{Expression, Step as Part};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::rc::Rc;

pub use graph::edges;
use graph::{circle, every_id, gather, seen_after};

/// What is known of a tool, to check its arguments.
#[derive(Debug, Clone, Default)]
pub struct ToolFacts {
    pub properties: Vec<String>,
    pub required: Vec<String>,
    /// Nothing but `properties` is taken.
    pub closed: bool,
}

/// What the rest of umcp knows.
pub trait World {
    /// The arguments of a tool; an error when there is no such tool; `None` when its server was never asked.
    fn tool(&self, target: &str) -> Result<Option<ToolFacts>, Error>;
    /// Whether there is a workflow of that name; an error with a near match when there is none.
    fn workflow(&self, name: &str) -> Result<(), Error>;
    /// What a skill takes, by `name` or `name@range`; `None` for one that is instructions alone.
    fn skill(&self, name: &str) -> Result<Option<ToolFacts>, Error>;
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub errors: Vec<Error>,
    /// What works, yet is hardly meant.
    pub warnings: Vec<Error>,
}

const ROOTS: [&str; 5] = ["inputs", "steps", "templates", "workflow", "run"];
const STEP_FIELDS: [&str; 5] = ["result", "results", "status", "error", "attempts"];

/// Checks a workflow that was read from `text`, and fills in what its steps read.
pub fn check(file: &str, text: &str, workflow: &mut Workflow, world: Option<&dyn World>) -> Findings {
    let mut checker = Checker {
        source: Source::new(file, text),
        inputs: workflow.inputs.iter().map(|input| input.name.clone()).collect(),
        secrets: workflow.inputs.iter().filter(|it| it.secret).map(|it| it.name.clone()).collect(),
        templates: workflow.templates.iter().map(|(name, _)| name.clone()).collect(),
        used: BTreeSet::new(),
        ids: HashMap::new(),
        findings: Findings::default(),
        world,
    };
    for step in workflow.steps.iter().chain(&workflow.finally) {
        checker.collect(step);
    }
    let top = Place::default();
    for (_, shape) in &workflow.templates {
        let roots = ["inputs", "workflow", "run"].map(Into::into).to_vec();
        checker.shape(shape, &Names { roots, visible: Rc::default() });
    }
    let visible = checker.list(&mut workflow.steps, &top);
    let after = Place { visible, ..Place::default() };
    let last = checker.list(&mut workflow.finally, &after);
    let names = Names { roots: ROOTS.map(Into::into).to_vec(), visible: last };
    for (_, shape) in &workflow.outputs {
        checker.shape(shape, &names);
    }
    for input in &workflow.inputs {
        if !checker.used.contains(&input.name) {
            let warning =
                checker.source.invalid(input.at, format!("the input `{}` is never used", input.name));
            checker.findings.warnings.push(warning);
        }
    }
    let place = |error: &Error| error.span.as_ref().map(|span| (span.line, span.column));
    let mut findings = checker.findings;
    findings.errors.sort_by_key(place);
    findings.warnings.sort_by_key(place);
    findings
}

/// Where a list of steps stands.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Ids of steps around it.
    visible: Rc<BTreeSet<String>>,
    /// Names of loops and handlers around it.
    names: Vec<String>,
    /// Every step begins at once, unless it waits for another.
    together: bool,
}

/// What an expression may name.
#[derive(Debug, Clone)]
struct Names {
    roots: Vec<String>,
    visible: Rc<BTreeSet<String>>,
}

struct Checker<'a> {
    source: Source<'a>,
    inputs: Vec<String>,
    secrets: Vec<String>,
    templates: Vec<String>,
    used: BTreeSet<String>,
    ids: HashMap<String, Position>,
    findings: Findings,
    world: Option<&'a dyn World>,
}

impl Checker<'_> {
    fn wrong(&mut self, at: Position, message: String, hint: Option<String>) {
        let error = self.source.invalid(at, message);
        self.findings.errors.push(match hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }

    /// Notes the id of a step and of those within.
    fn collect(&mut self, step: &Step) {
        if let Some(first) = self.ids.insert(step.id.clone(), step.at) {
            let message = format!("the id `{}` is taken by the step in line {}", step.id, first.line);
            self.wrong(step.at, message, Some("every step of a workflow has an id of its own".into()));
        }
        let inner =
            step.action.blocks().into_iter().map(|(_, steps)| steps).chain([step.fallback.as_slice()]);
        for step in inner.flatten() {
            self.collect(step);
        }
    }

    /// Checks a list; gives what is visible behind it.
    fn list(&mut self, steps: &mut [Step], place: &Place) -> Rc<BTreeSet<String>> {
        let inside: Vec<BTreeSet<String>> = steps.iter().map(seen_after).collect();
        let owners: HashMap<&String, usize> =
            inside.iter().enumerate().flat_map(|(at, set)| set.iter().map(move |id| (id, at))).collect();
        let visible =
            Rc::new(place.visible.iter().cloned().chain(inside.iter().flatten().cloned()).collect());
        let roots = ROOTS.iter().map(ToString::to_string).chain(place.names.iter().cloned()).collect();
        let names = Names { roots, visible: Rc::clone(&visible) };
        let ids: Vec<String> = steps.iter().map(|step| step.id.clone()).collect();
        for (at, step) in steps.iter_mut().enumerate() {
            let mut reads = BTreeSet::new();
            for (id, position) in self.step(step, &names, place) {
                match owners.get(&id) {
                    Some(owner) if *owner == at && id == step.id => {
                        self.wrong(position, format!("the step `{id}` reads its own result"), None);
                    }
                    Some(owner) if *owner != at => drop(reads.insert(*owner)),
                    _ => {}
                }
            }
            step.reads = reads.into_iter().map(|owner| ids[owner].clone()).collect();
        }
        self.order(steps, place);
        visible
    }

    /// One step: what it says itself, then the lists inside. Gives the ids it reads, with the places.
    fn step(&mut self, step: &mut Step, names: &Names, place: &Place) -> Vec<(String, Position)> {
        let at = step.at;
        let mut read = Vec::new();
        if let Some(condition) = &step.condition {
            read.extend(self.expression(&condition.expression, &condition.at, at, names));
        }
        let mut own: Vec<(Expression, Range<usize>)> = Vec::new();
        step.action.visit(&mut |expression, at| own.push((expression.clone(), at.clone())));
        // What is only handed on is written down nowhere.
        let hands_on = matches!(step.action, Action::Call { .. } | Action::Own { .. });
        for (expression, bytes) in &own {
            if !hands_on {
                self.keeps_no_secret(expression, bytes, at);
            }
            read.extend(self.expression(expression, bytes, at, names));
        }
        if let Some(condition) = &step.condition {
            self.keeps_no_secret(&condition.expression, &condition.at, at);
        }
        read.extend(self.key(step, names));
        self.target(step);
        let inner = |more: &[&str], together: bool| Place {
            visible: Rc::clone(&names.visible),
            names: place.names.iter().cloned().chain(more.iter().map(ToString::to_string)).collect(),
            together,
        };
        let mut nested: Vec<(&mut Vec<Step>, Place)> = Vec::new();
        match &mut step.action {
            Action::Conditional { then, otherwise, .. } => {
                nested.extend([(then, inner(&[], false)), (otherwise, inner(&[], false))]);
            }
            Action::Switch { cases, default, .. } => {
                nested.extend(cases.iter_mut().map(|(_, steps)| (steps, inner(&[], false))));
                nested.push((default, inner(&[], false)));
            }
            Action::Parallel { steps, .. } => nested.push((steps, inner(&[], true))),
            Action::Foreach { name, steps, .. } => {
                let place = inner(&[name.as_str(), "index"], false);
                nested.push((steps, place));
            }
            Action::Repeat { steps, .. } => nested.push((steps, inner(&["round"], false))),
            Action::Try { steps, catch, finally } => {
                nested.push((steps, inner(&[], false)));
                nested.push((catch, inner(&["error"], false)));
                nested.push((finally, inner(&[], false)));
            }
            _ => {}
        }
        nested.push((&mut step.fallback, inner(&["error"], false)));
        for (steps, place) in nested {
            self.nested(steps, &place, &mut read);
        }
        self.until(step, names, &mut read);
        read
    }

    /// A key is kept by whoever gets it.
    fn key(&mut self, step: &Step, names: &Names) -> Vec<(String, Position)> {
        let mut own: Vec<(Expression, Range<usize>)> = Vec::new();
        if let Some(key) = &step.idempotency_key {
            key.visit(&mut |expression, at| own.push((expression.clone(), at.clone())));
        }
        let mut read = Vec::new();
        for (expression, bytes) in &own {
            self.keeps_no_secret(expression, bytes, step.at);
            read.extend(self.expression(expression, bytes, step.at, names));
        }
        read
    }

    /// Steps inside a step; what they read outside is read by the step that holds them.
    fn nested(&mut self, steps: &mut [Step], place: &Place, read: &mut Vec<(String, Position)>) {
        if steps.is_empty() {
            return;
        }
        let inside: BTreeSet<String> = steps.iter().flat_map(every_id).collect();
        self.list(steps, place);
        let mut outside = Vec::new();
        for step in steps.iter() {
            gather(step, &mut outside);
        }
        read.extend(outside.into_iter().filter(|(id, _)| !inside.contains(id)));
    }

    /// The end of a repetition sees the steps of its round.
    fn until(&mut self, step: &Step, names: &Names, read: &mut Vec<(String, Position)>) {
        let Action::Repeat { until: Some(until), steps, .. } = &step.action else { return };
        let inside: BTreeSet<String> = steps.iter().flat_map(seen_after).collect();
        let visible = Rc::new(names.visible.iter().chain(&inside).cloned().collect());
        let mut roots = names.roots.clone();
        roots.push("round".into());
        self.keeps_no_secret(&until.expression, &until.at, step.at);
        let found = self.expression(&until.expression, &until.at, step.at, &Names { roots, visible });
        read.extend(found.into_iter().filter(|(id, _)| !inside.contains(id)));
    }

    fn target(&mut self, step: &Step) {
        let Some(world) = self.world else { return };
        match &step.action {
            Action::Call { target, at, inputs } => match world.tool(target) {
                Ok(Some(facts)) => self.arguments(target, &facts, inputs, *at),
                Ok(None) => {
                    let server = target.split('.').next().unwrap_or(target);
                    let warning = self.source.invalid(
                        *at,
                        format!("the tools of `{server}` are not known yet, so `{target}` was not checked"),
                    );
                    self.findings.warnings.push(warning.hint(format!("umcp tool refresh {server}")));
                }
                Err(error) => self.findings.errors.push(error.at(self.source.span(*at))),
            },
            Action::Run { runs: Runs::Workflow, name, at, .. } => {
                if let Err(error) = world.workflow(name) {
                    self.findings.errors.push(error.at(self.source.span(*at)));
                }
            }
            Action::Run { runs: Runs::Skill, name, at, inputs } => match world.skill(name) {
                Ok(Some(facts)) => self.arguments(name, &facts, inputs, *at),
                Ok(None) if matches!(inputs, Shape::Map(entries) if entries.is_empty()) => {}
                Ok(None) => {
                    let message = format!("the skill `{name}` is instructions alone and takes no inputs");
                    let hint = format!("let somebody follow it: `agent: claude`, `skill: {name}`");
                    self.wrong(*at, message, Some(hint));
                }
                Err(error) => self.findings.errors.push(error.at(self.source.span(*at))),
            },
            Action::Own { what: Own::Agent, inputs: Shape::Map(entries) } => {
                let skill = entries.iter().find(|(name, _)| name == "skill").map(|(_, skill)| skill);
                if let Some(Shape::Constant(skill)) = skill
                    && let Err(error) = world.skill(skill.as_str().unwrap_or_default())
                {
                    self.findings.errors.push(error.at(self.source.span(step.at)));
                }
            }
            _ => {}
        }
    }

    fn arguments(&mut self, target: &str, facts: &ToolFacts, inputs: &Shape, at: Position) {
        let given: Vec<&str> = match inputs {
            Shape::Map(entries) => entries.iter().map(|(name, _)| name.as_str()).collect(),
            // One expression for all of them is known when it runs.
            _ => return,
        };
        for name in &facts.required {
            if !given.contains(&name.as_str()) {
                self.wrong(at, format!("`{target}` needs the input `{name}`"), Some(shown(target)));
            }
        }
        for name in given.iter().filter(|_| facts.closed) {
            if !facts.properties.iter().any(|known| known == name) {
                let near = documents::near(name, facts.properties.iter().map(String::as_str));
                let hint = near.map_or_else(|| shown(target), |near| format!("did you mean `{near}`?"));
                self.wrong(at, format!("`{target}` takes no input `{name}`"), Some(hint));
            }
        }
    }

    fn shape(&mut self, shape: &Shape, names: &Names) {
        let mut own: Vec<(Expression, Range<usize>)> = Vec::new();
        shape.visit(&mut |expression, at| own.push((expression.clone(), at.clone())));
        for (expression, bytes) in &own {
            self.keeps_no_secret(expression, bytes, Position { line: 1, column: 1 });
            self.expression(expression, bytes, Position { line: 1, column: 1 }, names);
        }
    }

    /// Whatever is computed may be written down, so a secret input takes no part in it.
    fn keeps_no_secret(&mut self, expression: &Expression, bytes: &Range<usize>, step: Position) {
        for (path, at) in expression.paths() {
            let place = if bytes.start > 0 { self.source.position(bytes.start + at.start) } else { step };
            let [Part::Key(root), Part::Key(name), ..] = path.as_slice() else { continue };
            if root == "inputs" && self.secrets.contains(name) {
                let hint = "it is for the inputs, headers and variables of a step that calls something";
                self.wrong(
                    place,
                    format!("the secret input `{name}` cannot be used here"),
                    Some(hint.into()),
                );
            }
        }
    }

    /// Checks the names of one expression; gives the steps it reads.
    fn expression(
        &mut self,
        expression: &Expression,
        bytes: &Range<usize>,
        step: Position,
        names: &Names,
    ) -> Vec<(String, Position)> {
        let mut read = Vec::new();
        for (path, at) in expression.paths() {
            let place = if bytes.start > 0 { self.source.position(bytes.start + at.start) } else { step };
            let Some(Part::Key(root)) = path.first() else { continue };
            if !names.roots.contains(root) {
                let near = documents::near(root, names.roots.iter().map(String::as_str));
                let hint = near.map_or_else(
                    || format!("known are {}", names.roots.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.wrong(place, format!("there is no `{root}` here"), Some(hint));
                continue;
            }
            if root == "inputs" && !self.secrets.is_empty() && !matches!(path.get(1), Some(Part::Key(_))) {
                let message = "`inputs` as a whole has a secret in it";
                self.wrong(place, message.into(), Some("name the input that is meant".into()));
            }
            let Some(Part::Key(name)) = path.get(1) else { continue };
            match root.as_str() {
                "inputs" => {
                    self.used.insert(name.clone());
                    let known = self.inputs.clone();
                    self.member(name, &known, "input", "inputs", place);
                }
                "templates" => {
                    let known = self.templates.clone();
                    self.member(name, &known, "template", "templates", place);
                }
                "steps" => {
                    if !names.visible.contains(name) {
                        let known: Vec<String> = names.visible.iter().cloned().collect();
                        self.unseen(name, &known, place);
                        continue;
                    }
                    if let Some(Part::Key(field)) = path.get(2)
                        && !STEP_FIELDS.contains(&field.as_str())
                    {
                        let known = STEP_FIELDS.map(Into::into);
                        self.member(field, &known, "part of a step's outcome", "steps.ID", place);
                    }
                    read.push((name.clone(), place));
                }
                _ => {}
            }
        }
        read
    }

    fn member(&mut self, name: &str, known: &[String], what: &str, of: &str, at: Position) {
        if known.iter().any(|known| known == name) {
            return;
        }
        let near = documents::near(name, known.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("the workflow has no `{of}`"),
            None => format!("known are {}", known.join(", ")),
        };
        self.wrong(at, format!("there is no {what} `{name}`"), Some(hint));
    }

    fn unseen(&mut self, name: &str, known: &[String], at: Position) {
        if self.ids.contains_key(name) {
            let hint = "the steps of a loop are read inside it; behind it, use the loop's `results`";
            return self.wrong(at, format!("the step `{name}` cannot be seen from here"), Some(hint.into()));
        }
        self.member(name, known, "step", "steps", at);
    }

    /// Whether every step of a list can begin: known names in `depends_on`, and no circle.
    fn order(&mut self, steps: &[Step], place: &Place) {
        for (name, at) in steps.iter().flat_map(|step| step.depends_on.iter().flatten()) {
            if !place.visible.contains(name) && !steps.iter().any(|step| step.id == *name) {
                let known: Vec<String> = steps.iter().map(|step| step.id.clone()).collect();
                self.unseen(name, &known, *at);
            }
        }
        let edges = edges(steps, place.together);
        if let Some(circle) = circle(&edges) {
            let names: Vec<&str> = circle.iter().map(|at| steps[*at].id.as_str()).collect();
            let message = match names.as_slice() {
                [one] => format!("the step `{one}` waits for itself"),
                many => format!("steps wait for each other: {}", many.join(" → ")),
            };
            let hint = "a step without `depends_on` waits for all before it; `parallel: true` or `depends_on` change that";
            self.wrong(steps[circle[0]].at, message, Some(hint.into()));
        }
    }
}

/// The command that shows what a tool or a skill takes.
fn shown(target: &str) -> String {
    match target.contains('.') && !target.contains('@') {
        true => format!("umcp tool show {target}"),
        false => format!("umcp skill info {}", target.split('@').next().unwrap_or(target)),
    }
}

#[cfg(test)]
mod tests;
