//! The files that make up a crate: `mod name;` followed from its root, as the compiler does.
//! It knows which files exist in tests only, and, by what it does not reach, which were forgotten.

use super::lexer::{Kind, Token, tokens};
use std::path::{Path, PathBuf};

/// A source file with its place in the tree of modules.
#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub source: String,
    pub tokens: Vec<Token>,
    /// Empty for the root.
    pub module: Vec<String>,
    /// Everything in it exists in tests only.
    pub test: bool,
}

/// The file `root` and all files below it that exist.
pub fn follow(root: &Path, test: bool) -> Vec<File> {
    let mut files = Vec::new();
    visit(root.to_path_buf(), Vec::new(), test, &mut files);
    files
}

fn visit(path: PathBuf, module: Vec<String>, test: bool, files: &mut Vec<File>) {
    let Ok(source) = std::fs::read_to_string(&path) else { return };
    let tokens = tokens(&source);
    let declared = declarations(&tokens);
    let is_root = module.is_empty();
    files.push(File { path: path.clone(), source, tokens, module: module.clone(), test });
    for declaration in declared {
        let mut inner = module.clone();
        inner.push(declaration.name.clone());
        if let Some(file) = locate(&path, is_root, &declaration) {
            visit(file, inner, test || declaration.test, files);
        }
    }
}

/// One `mod name;`.
#[derive(Debug, PartialEq, Eq)]
pub struct Declaration {
    pub name: String,
    /// What `#[path = "…"]` says.
    pub path: Option<String>,
    pub test: bool,
}

pub fn declarations(tokens: &[Token]) -> Vec<Declaration> {
    let mut found = Vec::new();
    let mut path = None;
    for (at, token) in tokens.iter().enumerate() {
        let is = |offset: usize, text: &str| tokens.get(at + offset).is_some_and(|token| token.is(text));
        if is(0, "#") && is(1, "[") && is(2, "path") && is(3, "=") {
            path =
                tokens.get(at + 4).filter(|token| token.kind == Kind::Text).map(|token| token.text.clone());
        }
        if token.is("mod") && is(2, ";") {
            found.push(Declaration {
                name: tokens[at + 1].text.clone(),
                path: path.take(),
                test: token.test,
            });
        }
    }
    found
}

fn locate(file: &Path, is_root: bool, declaration: &Declaration) -> Option<PathBuf> {
    let dir = file.parent()?;
    if let Some(path) = &declaration.path {
        return Some(dir.join(path));
    }
    let is_folder = is_root || file.ends_with("mod.rs");
    let dir = if is_folder { dir.to_path_buf() } else { file.with_extension("") };
    let name = &declaration.name;
    [dir.join(format!("{name}.rs")), dir.join(name).join("mod.rs")].into_iter().find(|path| path.is_file())
}

#[test]
fn declarations_bring_their_path_and_whether_they_are_tests() {
    let source = "pub mod a; #[cfg(windows)] #[path = \"b_w.rs\"] mod b; mod c { } #[cfg(test)] mod d;";
    let expected = [("a", None, false), ("b", Some("b_w.rs"), false), ("d", None, true)];
    let expected = expected.map(|(name, path, test)| Declaration {
        name: name.to_string(),
        path: path.map(ToString::to_string),
        test,
    });
    assert_eq!(declarations(&tokens(source)), expected);
}
