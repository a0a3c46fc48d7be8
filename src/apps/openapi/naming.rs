//! Names of tools and arguments as every client takes them, made of whatever a document says.

use std::collections::HashSet;

/// Longest name of a tool; the app's name stands before it in clients.
const TOOL: usize = 48;
const ARGUMENT: usize = 64;

/// Names that are taken.
#[derive(Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// The name, with a number where it is taken.
    pub fn unique(&mut self, name: &str) -> String {
        let mut candidate = name.to_string();
        let mut number = 2;
        while !self.0.insert(candidate.clone()) {
            let tail = format!("_{number}");
            candidate = format!("{}{tail}", cut(name, TOOL - tail.len()));
            number += 1;
        }
        candidate
    }
}

/// The name of an operation: its id, else its verb and path.
pub fn tool(id: Option<&str>, verb: &str, path: &str) -> String {
    let from_id = id.map(|id| tame(id, TOOL)).filter(|name| !name.is_empty());
    from_id.unwrap_or_else(|| {
        let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty());
        let name = tame(&format!("{verb}_{}", words.collect::<Vec<_>>().join("_")), TOOL);
        if name.is_empty() { verb.into() } else { name }
    })
}

/// The name of an argument: `filter[name]` is `filter_name`, `$top` is `top`.
pub fn argument(name: &str, taken: &dyn Fn(&str) -> bool, place: &str) -> String {
    let tamed = tame(name, ARGUMENT);
    let tamed = match tamed.chars().next() {
        None => place.to_string(),
        Some(first) if first.is_ascii_alphabetic() => tamed,
        Some(_) => tame(&format!("{place}_{tamed}"), ARGUMENT),
    };
    if !taken(&tamed) {
        return tamed;
    }
    let prefixed = tame(&format!("{place}_{tamed}"), ARGUMENT);
    let numbered = (2..).map(|number| format!("{}_{number}", cut(&prefixed, ARGUMENT - 6)));
    std::iter::once(prefixed.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(prefixed)
}

/// Letters, digits, `_` and `-`; anything else is `_`, but never two in a row.
pub fn tame(text: &str, most: usize) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    cut(name.trim_matches(['_', '-']), most).trim_end_matches(['_', '-']).to_string()
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.len().min(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_of_anything() {
        for (id, verb, path, expected) in [
            (Some("listPets"), "get", "/pets", "listPets"),
            (Some("repos/list-for-user"), "get", "/", "repos_list-for-user"),
            (Some("  "), "get", "/pets/{id}", "get_pets_id"),
            (None, "post", "/a.b/{c-d}/", "post_a_b_c-d"),
            (None, "get", "/", "get"),
            (Some("é"), "get", "/é", "get"),
        ] {
            assert_eq!(tool(id, verb, path), expected);
        }
        let mut names = Names::default();
        let long = "x".repeat(60);
        assert_eq!(names.unique("a"), "a");
        assert_eq!((names.unique("a"), names.unique("a")), ("a_2".into(), "a_3".into()));
        assert!(names.unique(&tool(Some(&long), "get", "/")).len() <= TOOL);
        for (name, expected) in
            [("filter[name]", "filter_name"), ("$top", "top"), ("1st", "query_1st"), ("§", "query")]
        {
            assert_eq!(argument(name, &|_| false, "query"), expected);
        }
        assert_eq!(argument("id", &|name| name == "id", "path"), "path_id");
        assert_eq!(argument("id", &|name| ["id", "path_id"].contains(&name), "path"), "path_id_2");
    }
}
