//! The difference between two texts as people read it: unified, three lines of context.

/// A unified diff of a file; empty when nothing changes.
pub fn diff(file: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(&format!("{file} (now)"), &format!("{file} (after)"))
        .to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_change_shows_with_its_surroundings() {
        assert_eq!(super::diff("f", "a\nb\n", "a\nb\n"), "");
        assert_eq!(
            super::diff("f", "a\nb\nc\n", "a\nx\nc\n"),
            "--- f (now)\n+++ f (after)\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"
        );
    }
}
