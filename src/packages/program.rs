//! Which of a package's programs is its server, where it brings several.

use crate::error::{Error, Result, codes};

/// Chooses among the programs of a package. `wanted` is what the user said, `package` the package's own name.
pub fn choose<'a>(programs: &'a [String], package: &str, wanted: Option<&str>) -> Result<&'a String> {
    let find = |name: &str| programs.iter().find(|program| *program == name);
    let last = package.rsplit('/').next().unwrap_or(package);
    let last = last.split('[').next().unwrap_or(last);
    if let Some(wanted) = wanted {
        return find(wanted).ok_or_else(|| {
            let error = Error::new(&codes::PACKAGE_INVALID, format!("`{package}` has no program `{wanted}`"));
            error.hint(match programs {
                [] => "it has no program at all".to_string(),
                some => format!("its programs are {}", some.join(", ")),
            })
        });
    }
    if let [only] = programs {
        return Ok(only);
    }
    if programs.is_empty() {
        let message = format!("`{package}` brings no program, so it is no server");
        return Err(Error::new(&codes::PACKAGE_INVALID, message).hint("umcp install --help"));
    }
    let same = |program: &&String| {
        program.replace(['_', '.'], "-").eq_ignore_ascii_case(&last.replace(['_', '.'], "-"))
    };
    if let Some(same) = programs.iter().find(same) {
        return Ok(same);
    }
    let speaks: Vec<&String> = programs.iter().filter(|program| program.contains("mcp")).collect();
    match speaks.as_slice() {
        [one] => Ok(one),
        _ => {
            let message = format!("`{package}` has several programs: {}", programs.join(", "));
            Err(Error::new(&codes::PACKAGE_INVALID, message).hint("say which one with --program"))
        }
    }
}

/// How a program that is missing is got.
pub fn advice(program: &str) -> String {
    let (name, page) = match program {
        "npm" | "node" => ("Node.js", "https://nodejs.org"),
        "cargo" => ("Rust", "https://rustup.rs"),
        "go" => ("Go", "https://go.dev/doc/install"),
        "gem" => ("Ruby", "https://www.ruby-lang.org/en/downloads"),
        "composer" => ("PHP and Composer", "https://getcomposer.org/download"),
        "dotnet" => ("the .NET SDK", "https://dotnet.microsoft.com/download"),
        _ => return format!("install `{program}` and try again"),
    };
    format!("install {name}: {page}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_among_programs_is_found_or_asked_for() {
        for (programs, package, wanted, expected) in [
            (&["x"][..], "@a/b", None, Some("x")),
            (&["cli", "server-git"], "@a/server-git", None, Some("server-git")),
            (&["tool", "mcp_server_time"], "mcp-server-time", None, Some("mcp_server_time")),
            (&["admin", "my-mcp"], "thing", None, Some("my-mcp")),
            (&["a", "b"], "thing", None, None),
            (&["a", "b"], "thing", Some("b"), Some("b")),
            (&["a", "b"], "thing", Some("c"), None),
            (&[], "thing", None, None),
        ] {
            let programs: Vec<String> = programs.iter().map(ToString::to_string).collect();
            let chosen = choose(&programs, package, wanted);
            assert_eq!(chosen.as_ref().ok().map(|it| it.as_str()), expected, "{programs:?} {package}");
        }
    }
}
