//! Skills as rows, and skills as wholes.

use super::bundle::{Content, Files};
use super::*;
use crate::store::Store;

fn version(version: &str, needs: &[&str]) -> Installed {
    Installed {
        version: version.into(),
        digest: format!("digest of {version}"),
        needs: needs.iter().map(ToString::to_string).collect(),
        ..Installed::default()
    }
}

fn new(name: &str, installed: Installed) -> New {
    New { name: name.into(), installed, wanted: true, replace: false }
}

fn put(store: &Store, new: Vec<New>) -> Result<Reply> {
    store.write(|tx| write(tx, Request::Install { new, publishers: Vec::new() }))
}

fn shown(store: &Store, name: &str) -> (String, Option<String>, Vec<String>) {
    match store.read(|tx| read(tx, &Request::Show { name: name.into() })).unwrap() {
        Reply::Skill(skill) => {
            let versions = skill.versions.iter().map(|it| it.version.clone()).collect();
            (skill.current, skill.previous, versions)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_stand_side_by_side_and_there_is_a_way_back() {
    let store = Store::memory();
    put(&store, vec![new("a", version("1.10.0", &[]))]).unwrap();
    put(&store, vec![new("a", version("1.9.0", &[]))]).unwrap();
    let both = vec!["1.9.0".to_string(), "1.10.0".into()];
    assert_eq!(shown(&store, "a"), ("1.9.0".into(), Some("1.10.0".into()), both.clone()));
    let back = Request::Use { name: "a".into(), version: "1.10.0".into() };
    store.write(|tx| write(tx, back)).unwrap();
    assert_eq!(shown(&store, "a"), ("1.10.0".into(), Some("1.9.0".into()), both));
    let gone = Request::Uninstall { name: "a".into(), version: Some("1.10.0".into()) };
    store.write(|tx| write(tx, gone)).unwrap();
    assert_eq!(shown(&store, "a"), ("1.9.0".into(), None, vec!["1.9.0".into()]));
}

#[test]
fn another_content_of_the_same_version_is_refused() {
    let store = Store::memory();
    put(&store, vec![new("a", version("1.0.0", &[]))]).unwrap();
    put(&store, vec![new("a", version("1.0.0", &[]))]).unwrap();
    let other = Installed { digest: "other".into(), ..version("1.0.0", &[]) };
    assert_eq!(put(&store, vec![new("a", other.clone())]).unwrap_err().code.code, codes::SKILL_EXISTS.code);
    put(&store, vec![New { replace: true, ..new("a", other) }]).unwrap();
}

#[test]
fn what_is_needed_stays() {
    let store = Store::memory();
    put(&store, vec![new("a", version("1.0.0", &["b@^1"])), new("b", version("1.0.0", &[]))]).unwrap();
    let code = |outcome: Result<Reply>| outcome.unwrap_err().code.code;
    let refused = codes::SKILL_IN_USE.code;
    let gone = Request::Uninstall { name: "b".into(), version: None };
    assert_eq!(code(store.write(|tx| write(tx, gone))), refused);
    assert_eq!(code(put(&store, vec![new("b", version("2.0.0", &[]))])), refused);
    assert_eq!(shown(&store, "b").0, "1.0.0", "a refused change changes nothing");
    assert_eq!(code(put(&store, vec![new("c", version("1.0.0", &["gone"]))])), refused);
}

#[test]
fn a_name_that_is_not_there_is_told_with_the_nearest() {
    let store = Store::memory();
    put(&store, vec![new("sentiment", version("1.0.0", &[]))]).unwrap();
    let error = store.read(|tx| read(tx, &Request::Show { name: "sentimant".into() })).unwrap_err();
    assert_eq!(error.hints, ["did you mean `sentiment`?"]);
}

fn files(pairs: &[(&str, &str)]) -> Files {
    pairs
        .iter()
        .map(|(path, text)| {
            (path.to_string(), Content { bytes: text.as_bytes().to_vec(), executable: false })
        })
        .collect()
}

#[test]
fn a_skill_is_read_from_its_two_files() {
    let text = "---\nname: greet\ndescription: Says hello\nmetadata: {version: v1.2, author: me, tags: [a]}\n---\nHello";
    let alone = whole::read(&files(&[("SKILL.md", text)]), "greet").unwrap();
    let about = &alone.installed;
    assert_eq!((about.version.as_str(), about.author.as_str()), ("1.2.0", "me"));
    assert!(!about.is_executable());
    let yaml = "id: greet\nversion: 2.0.0\ntags: [b]\nsteps: [{id: a, set: 1}]\n";
    let both = whole::read(&files(&[("SKILL.md", text), ("skill.yaml", yaml)]), "greet").unwrap();
    assert_eq!(
        (both.installed.version.as_str(), both.installed.tags.as_slice()),
        ("2.0.0", &["b".into()][..])
    );
    assert!(both.installed.is_executable());
    assert_ne!(both.installed.digest, about.digest);
    let unversioned =
        whole::read(&files(&[("SKILL.md", "---\nname: x\ndescription: y\n---\n")]), "x").unwrap();
    assert_eq!(unversioned.installed.version, whole::NO_VERSION);
}

#[test]
fn everything_wrong_with_a_skill_is_found_at_once() {
    let looked = whole::look(&files(&[("SKILL.md", "hello"), ("skill.yaml", "id: A\nstesp: []\n")]), "x");
    assert_eq!(looked.errors.len(), 3, "{:#?}", looked.errors);
    let text = "---\nname: greet\ndescription: Says hello\n---\n";
    let other = whole::read(&files(&[("SKILL.md", text), ("skill.yaml", "id: other\n")]), "x").unwrap_err();
    assert_eq!(other.message, "the `id` in skill.yaml is `other`, the `name` in SKILL.md `greet`");
    assert!(whole::read(&files(&[("readme.md", "")]), "x").unwrap_err().message.contains("no `x/SKILL.md`"));
}
