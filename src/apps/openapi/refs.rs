//! References within a document. Nothing outside is ever read.

use serde_json::Value;

/// A chain of references longer than this leads nowhere.
const LONGEST: usize = 32;

pub struct Document<'a> {
    pub root: &'a Value,
}

impl<'a> Document<'a> {
    pub fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// The value itself or what its reference leads to.
    pub fn resolve(&self, value: &'a Value) -> Option<&'a Value> {
        let mut value = value;
        for _ in 0..LONGEST {
            match value.get("$ref").and_then(Value::as_str) {
                None => return Some(value),
                Some(reference) => value = self.target(reference)?,
            }
        }
        None
    }

    /// What `#/…` points to.
    pub fn target(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        if !pointer.contains('%') {
            return self.root.pointer(pointer);
        }
        self.root.pointer(&decoded(pointer))
    }
}

/// A pointer in a fragment may be percent-encoded.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
