//! Names by a pattern, the same way everywhere: `*` stands for any text, `?` for one character.
//! Rule: no pattern a user or a server writes can cost more than its length times the text's.

/// Whether a text fits a glob: `*` stands for any text, `?` for one character.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(b'?') if text[t] < 0x80 || text[t] >= 0xC0 => {
                p += 1;
                t += 1;
                // The rest of one character.
                while text.get(t).is_some_and(|byte| (0x80..0xC0).contains(byte)) {
                    t += 1;
                }
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    (p, t) = (star + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Whether one of the patterns fits; none means that everything does.
pub fn any(patterns: &[String], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_or_do_not() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("git.*", "git.push", true),
            ("git.*", "gitx.push", false),
            ("*.delete_*", "files.delete_all", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-cd", false),
            ("read", "reads", false),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xbxxa", false),
            ("a*a", "a", false),
            ("a*c*e", "acbd", false),
            ("ab*ba", "aba", false),
            ("?", "ä", true),
            ("?b", "äb", true),
            ("??", "ä", false),
            ("/etc/*", "/etc/passwd", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_glob_of_many_stars_takes_no_time() {
        let started = std::time::Instant::now();
        assert!(!fits(&"*a".repeat(40), &"a".repeat(39)));
        assert!(!fits(&format!("{}b", "a*".repeat(30)), &"a".repeat(5000)));
        assert!(started.elapsed().as_millis() < 1000);
    }
}
