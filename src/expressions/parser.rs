//! Tokens to a tree. Pure; the tree's depth is bounded here, so that walking it needs no bound of its own.

use super::functions::{self, Function};
use super::lexer::{Kind, Token, tokens};
use super::{Fault, MAX_DEPTH};
use serde_json::Value;
use std::ops::Range;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    pub(super) root: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub form: Form,
    pub at: Range<usize>,
    depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Form {
    Literal(Value),
    Name(String),
    Field(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    Call(&'static Function, Vec<Node>),
    List(Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    Choose(Box<Node>, Box<Node>, Box<Node>),
}

/// One step of a path that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(i64),
    /// Known only when it runs.
    Computed,
}

impl Expression {
    /// Reads an expression without its `${{ }}`.
    ///
    /// # Errors
    /// [`Fault`] with the bytes it is about.
    pub fn parse(source: &str) -> Result<Self, Fault> {
        let mut parser = Parser { tokens: tokens(source)?, next: 0, depth: 0 };
        if parser.peek() == &Kind::End {
            return Err(Fault::new("the expression is empty", 0..source.len()));
        }
        let root = parser.expression()?;
        match parser.peek() {
            Kind::End => Ok(Self { root }),
            _ => Err(parser.unexpected("an operator")),
        }
    }

    /// Every path the expression reads, longest first form, with the place: `steps.a.result` is one path.
    /// Used to find what a step depends on and to check names before anything runs.
    pub fn paths(&self) -> Vec<(Vec<Step>, Range<usize>)> {
        let mut paths = Vec::new();
        collect(&self.root, &mut paths);
        paths
    }
}

fn collect(node: &Node, paths: &mut Vec<(Vec<Step>, Range<usize>)>) {
    match &node.form {
        Form::Literal(_) => {}
        Form::Name(_) | Form::Field(..) | Form::Index(..) => {
            if let Some(path) = path(node, paths) {
                paths.push((path, node.at.clone()));
            }
        }
        Form::Call(_, nodes) | Form::List(nodes) => nodes.iter().for_each(|node| collect(node, paths)),
        Form::Not(inner) | Form::Negate(inner) => collect(inner, paths),
        Form::Binary(_, left, right) => {
            collect(left, paths);
            collect(right, paths);
        }
        Form::Choose(condition, yes, no) => {
            for node in [condition, yes, no] {
                collect(node, paths);
            }
        }
    }
}

/// The path a node stands for; what is computed inside brackets is collected too.
fn path(node: &Node, paths: &mut Vec<(Vec<Step>, Range<usize>)>) -> Option<Vec<Step>> {
    match &node.form {
        Form::Name(name) => Some(vec![Step::Key(name.clone())]),
        Form::Field(parent, name) => {
            let mut steps = path(parent, paths)?;
            steps.push(Step::Key(name.clone()));
            Some(steps)
        }
        Form::Index(parent, index) => {
            let steps = path(parent, paths);
            let step = match &index.form {
                Form::Literal(Value::String(key)) => Step::Key(key.clone()),
                Form::Literal(Value::Number(number)) if number.is_i64() => Step::Index(number.as_i64()?),
                _ => {
                    collect(index, paths);
                    Step::Computed
                }
            };
            let mut steps = steps?;
            steps.push(step);
            Some(steps)
        }
        _ => {
            collect(node, paths);
            None
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

/// Operators by binding, loosest first.
const LEVELS: [&[&str]; 7] =
    [&["??"], &["||"], &["&&"], &["==", "!="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

impl Parser {
    fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    fn at(&self) -> Range<usize> {
        self.tokens[self.next].at.clone()
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Kind::Sign(found) if *found == sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str, opened: &Range<usize>) -> Result<(), Fault> {
        if self.take(sign) {
            return Ok(());
        }
        if self.peek() == &Kind::End {
            return Err(Fault::new(format!("a `{sign}` is missing for what begins here"), opened.clone()));
        }
        Err(self.unexpected(&format!("`{sign}`")))
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let word = match self.peek() {
            Kind::End => {
                return Fault::new(format!("the expression ends where {wanted} is expected"), self.at());
            }
            Kind::Name(name) => name.clone(),
            Kind::Text(_) => "a text".into(),
            Kind::Integer(number) => number.to_string(),
            Kind::Float(number) => number.to_string(),
            Kind::Sign(sign) => (*sign).into(),
        };
        let fault = Fault::new(format!("`{word}` stands where {wanted} is expected"), self.at());
        match word.as_str() {
            "and" => fault.hint("both conditions: `a && b`"),
            "or" => fault.hint("one of two conditions: `a || b`"),
            "not" => fault.hint("the opposite: `!a`"),
            _ => fault,
        }
    }

    fn node(&self, form: Form, at: Range<usize>) -> Result<Node, Fault> {
        let below = match &form {
            Form::Literal(_) | Form::Name(_) => 0,
            Form::Field(inner, _) | Form::Not(inner) | Form::Negate(inner) => inner.depth,
            Form::Index(left, right) | Form::Binary(_, left, right) => left.depth.max(right.depth),
            Form::Call(_, nodes) | Form::List(nodes) => {
                nodes.iter().map(|node| node.depth).max().unwrap_or(0)
            }
            Form::Choose(condition, yes, no) => condition.depth.max(yes.depth).max(no.depth),
        };
        if below >= MAX_DEPTH {
            return Err(Fault::new(format!("an expression nests at most {MAX_DEPTH} deep"), at));
        }
        Ok(Node { form, at, depth: below + 1 })
    }

    fn expression(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new(format!("an expression nests at most {MAX_DEPTH} deep"), self.at()));
        }
        let condition = self.level(0)?;
        let node = if self.take("?") {
            let opened = condition.at.clone();
            let yes = self.expression()?;
            self.expect(":", &opened)?;
            let no = self.expression()?;
            let at = condition.at.start..no.at.end;
            self.node(Form::Choose(Box::new(condition), Box::new(yes), Box::new(no)), at)?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn level(&mut self, level: usize) -> Result<Node, Fault> {
        let Some(signs) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        let mut compared = false;
        while let Some(sign) =
            signs.iter().copied().find(|sign| matches!(self.peek(), Kind::Sign(found) if found == sign))
        {
            if (level == 3 || level == 4) && std::mem::replace(&mut compared, true) {
                return Err(Fault::new(format!("`{sign}` compares two values, not three"), self.at())
                    .hint("write `a < b && b < c`"));
            }
            self.next += 1;
            let right = self.level(level + 1)?;
            let at = left.at.start..right.at.end;
            left = self.node(Form::Binary(sign, Box::new(left), Box::new(right)), at)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, Fault> {
        let start = self.at().start;
        let not = self.take("!");
        if !not && !self.take("-") {
            return self.postfix();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new(format!("an expression nests at most {MAX_DEPTH} deep"), self.at()));
        }
        let inner = self.unary()?;
        self.depth -= 1;
        let at = start..inner.at.end;
        self.node(if not { Form::Not(Box::new(inner)) } else { Form::Negate(Box::new(inner)) }, at)
    }

    fn postfix(&mut self) -> Result<Node, Fault> {
        let mut node = self.primary()?;
        loop {
            if self.take(".") {
                let at = self.at();
                let Kind::Name(name) = self.peek().clone() else {
                    return Err(self.unexpected("a name"));
                };
                self.next += 1;
                let at = node.at.start..at.end;
                node = self.node(Form::Field(Box::new(node), name), at)?;
            } else if matches!(self.peek(), Kind::Sign("[")) {
                let opened = self.at();
                self.next += 1;
                let index = self.expression()?;
                let end = self.at().end;
                self.expect("]", &opened)?;
                let at = node.at.start..end;
                node = self.node(Form::Index(Box::new(node), Box::new(index)), at)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        let at = self.at();
        let form = match self.peek().clone() {
            Kind::Text(text) => Form::Literal(text.into()),
            Kind::Integer(number) => Form::Literal(number.into()),
            Kind::Float(number) => Form::Literal(number.into()),
            Kind::Name(name) => {
                self.next += 1;
                return self.named(name, at);
            }
            Kind::Sign(sign @ ("(" | "[")) => {
                self.next += 1;
                return self.bracketed(sign, at);
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.next += 1;
        self.node(form, at)
    }

    fn named(&mut self, name: String, at: Range<usize>) -> Result<Node, Fault> {
        if matches!(self.peek(), Kind::Sign("(")) {
            let function = functions::find(&name, &at)?;
            let opened = self.at();
            self.next += 1;
            let (arguments, end) = self.list(")", &opened)?;
            function.check(arguments.len(), &at)?;
            return self.node(Form::Call(function, arguments), at.start..end);
        }
        let form = match name.as_str() {
            "true" => Form::Literal(true.into()),
            "false" => Form::Literal(false.into()),
            "null" => Form::Literal(Value::Null),
            _ => Form::Name(name),
        };
        self.node(form, at)
    }

    fn bracketed(&mut self, sign: &str, at: Range<usize>) -> Result<Node, Fault> {
        if sign == "[" {
            let (nodes, end) = self.list("]", &at)?;
            return self.node(Form::List(nodes), at.start..end);
        }
        let mut node = self.expression()?;
        let end = self.at().end;
        self.expect(")", &at)?;
        node.at = at.start..end;
        Ok(node)
    }

    /// Expressions between commas up to `close`, and where it ends.
    fn list(&mut self, close: &'static str, opened: &Range<usize>) -> Result<(Vec<Node>, usize), Fault> {
        let mut nodes = Vec::new();
        loop {
            let end = self.at().end;
            if nodes.is_empty() && self.take(close) {
                return Ok((nodes, end));
            }
            nodes.push(self.expression()?);
            let end = self.at().end;
            if self.take(",") {
                continue;
            }
            self.expect(close, opened)?;
            return Ok((nodes, end));
        }
    }
}
