//! The spellings of variables in other tools' values, turned into umcp's `${VAR}` and `secret://NAME`.

/// A value in umcp's words, and what the user should know about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Value {
    pub text: String,
    /// Secrets that must be set before the server can start.
    pub secrets: Vec<String>,
    /// Variables only the other tool knows.
    pub foreign: Vec<String>,
}

/// Rewrites one value.
///
/// `${env:X}`, `{env:X}` and `$env:X` become `${X}`; `${input:x}` and `${{ secrets.X }}` become `secret://x`.
pub fn rewrite(text: &str) -> Value {
    let mut value = Value::default();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{']) {
        value.text.push_str(&rest[..at]);
        rest = &rest[at..];
        let used = value.reference(rest);
        rest = &rest[used..];
    }
    value.text.push_str(rest);
    value
}

impl Value {
    /// Takes what begins at `rest` and tells how many bytes that was.
    fn reference(&mut self, rest: &str) -> usize {
        let inside = |open: &str, close: &str| {
            let body = rest.strip_prefix(open)?;
            let end = body.find(close)?;
            Some((body[..end].trim(), open.len() + end + close.len()))
        };
        if let Some((body, used)) = inside("${{", "}}") {
            let name = body.strip_prefix("secrets.").or_else(|| body.strip_prefix("inputs."));
            self.secret(name.unwrap_or(body));
            return used;
        }
        if let Some((body, used)) = inside("${", "}") {
            self.variable(body, &rest[..used]);
            return used;
        }
        if let Some((name, used)) = inside("{env:", "}") {
            self.text.push_str(&format!("${{{name}}}"));
            return used;
        }
        if let Some((body, used)) = inside("{file:", "}") {
            self.foreign.push(format!("file:{body}"));
            self.text.push_str(&rest[..used]);
            return used;
        }
        if let Some(body) = rest.strip_prefix("$env:") {
            let end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
            self.text.push_str(&format!("${{{}}}", &body[..end]));
            return "$env:".len() + end;
        }
        self.text.push_str(&rest[..1]);
        1
    }

    fn variable(&mut self, body: &str, written: &str) {
        match body.split_once(':') {
            Some(("env", name)) => self.text.push_str(&format!("${{{name}}}")),
            Some(("input", name)) => self.secret(name),
            // `${VAR:-default}` is umcp's own spelling too.
            Some((_, default)) if default.starts_with('-') => self.text.push_str(written),
            Some(_) => {
                self.foreign.push(body.into());
                self.text.push_str(written);
            }
            None if body == "userHome" => self.text.push_str("${HOME}"),
            None => {
                if body.contains(['.', '/']) || body.starts_with("workspaceFolder") || body == "pathSeparator"
                {
                    self.foreign.push(body.into());
                }
                self.text.push_str(written);
            }
        }
    }

    fn secret(&mut self, name: &str) {
        self.secrets.push(name.into());
        self.text.push_str(&format!("secret://{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_ours() {
        for (text, expected, secrets, foreign) in [
            ("plain $5 {x}", "plain $5 {x}", vec![], vec![]),
            ("${env:HOME}/x", "${HOME}/x", vec![], vec![]),
            ("{env:KEY}", "${KEY}", vec![], vec![]),
            ("a $env:KEY-b", "a ${KEY}-b", vec![], vec![]),
            ("${A:-b}", "${A:-b}", vec![], vec![]),
            ("Bearer ${input:git-hub}", "Bearer secret://git-hub", vec!["git-hub"], vec![]),
            ("${{ secrets.TOKEN }}", "secret://TOKEN", vec!["TOKEN"], vec![]),
            ("${workspaceFolder}/a", "${workspaceFolder}/a", vec![], vec!["workspaceFolder"]),
            ("${userHome}", "${HOME}", vec![], vec![]),
            ("${unclosed ä", "${unclosed ä", vec![], vec![]),
            ("$", "$", vec![], vec![]),
        ] {
            let value = rewrite(text);
            assert_eq!(
                (value.text.as_str(), value.secrets, value.foreign),
                (
                    expected,
                    secrets.into_iter().map(String::from).collect(),
                    foreign.into_iter().map(String::from).collect()
                )
            );
        }
    }
}
