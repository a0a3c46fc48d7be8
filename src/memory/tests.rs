//! The noun over a store in memory: what is stored is found, what is forgotten is nowhere, what is changed comes back.
//! Long because each rule of the noun has its story here.

use super::consolidate::Prune;
use super::model::{Triple, USUAL, id};
use super::recall::{By, Found, Search};
use super::vectors::{Kept, Made, Vector};
use super::*;
use crate::store::Store;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: u64 = 86_400_000;

struct Desk {
    store: Store,
    now: Timestamp,
}

impl Desk {
    fn new() -> Self {
        Self { store: Store::memory(), now: NOW }
    }

    fn as_agent(&self, agent: Option<&str>, ask: Ask) -> Result<Reply> {
        let who = Who { agent: agent.map(Into::into), session: None };
        let request = Request::new(who, self.now, ask);
        match request.writes() {
            true => self.store.write(|tx| write(tx, request)),
            false => self.store.read(|tx| read(tx, &request)),
        }
    }

    fn ask(&self, ask: Ask) -> Reply {
        self.as_agent(None, ask).unwrap()
    }

    fn add(&self, text: &str) -> u32 {
        self.add_new(new(text))
    }

    fn add_new(&self, new: New) -> u32 {
        match self.ask(Ask::Store(vec![new])) {
            Reply::Stored(stored) => stored[0].memory.number,
            other => panic!("{other:?}"),
        }
    }

    fn search(&self, search: Search) -> Found {
        match self.ask(Ask::Search(Search { top_k: 10, ..search })) {
            Reply::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }

    fn find(&self, question: &str) -> Vec<u32> {
        let found = self.search(Search { question: question.into(), ..Search::default() });
        found.hits.iter().map(|hit| hit.memory.number).collect()
    }

    fn list(&self, filter: Filter) -> Vec<u32> {
        let list = Select { filter, order: Order::Oldest, limit: 100, offset: 0 };
        match self.ask(Ask::List(list)) {
            Reply::Memories(found, _) => found.iter().map(|memory| memory.number).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn get(&self, word: &str) -> Result<Memory> {
        match self.as_agent(None, Ask::Get { word: word.into(), filter: Filter::default() })? {
            Reply::Memory(memory) => Ok(*memory),
            other => panic!("{other:?}"),
        }
    }

    fn stats(&self) -> Stats {
        match self.ask(Ask::Stats { check: true }) {
            Reply::Stats(stats) => *stats,
            other => panic!("{other:?}"),
        }
    }

    fn forget(&self, words: &[&str]) -> Vec<u32> {
        let words = words.iter().map(ToString::to_string).collect();
        match self.ask(Ask::Forget { words, filter: Filter::default(), dry_run: false }) {
            Reply::Gone(gone) => gone,
            other => panic!("{other:?}"),
        }
    }

    fn undo(&self) -> Result<Reply> {
        self.as_agent(None, Ask::Undo { id: None, force: false })
    }
}

fn new(text: &str) -> New {
    New { namespace: model::DEFAULT.into(), text: text.into(), ..New::default() }
}

#[test]
fn what_is_stored_is_found_by_its_words_best_first() {
    let desk = Desk::new();
    let python = desk.add("The user prefers Python for backend work");
    let rust = desk.add("The user writes command line tools in Rust");
    let error = desk.add("Error UM0401 means that a server is not known, says the tool create_issue");
    for (question, expected) in [
        ("python", vec![python]),
        ("Which language does the user prefer for backends?", vec![python, rust]),
        ("um0401", vec![error]),
        ("createIssue", vec![error]),
        ("comman", vec![rust]),
        ("xylophone", vec![]),
        ("the of and", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(desk.find(question), expected, "{question}");
    }
    let found = desk.search(Search { question: "what is UM0401 for the user".into(), ..Search::default() });
    assert_eq!((found.hits[0].memory.number, found.hits[0].by), (error, By::Name));
    let strict =
        Search { question: "user xylophone concert".into(), min_similarity: 0.6, ..Search::default() };
    assert_eq!(desk.search(strict).hits.len(), 0);
    let full = desk.search(Search { question: "Python backend".into(), ..Search::default() });
    assert!(
        full.hits[0].similarity > 0.9 && full.hits[0].words == ["python", "backend"],
        "{:?}",
        full.hits[0]
    );
}

#[test]
fn importance_and_recency_decide_among_equals() {
    let desk = Desk::new();
    let dull = desk.add("alpha beta one");
    let important = desk.add_new(New { importance: Some(1.0), ..new("alpha beta two") });
    let old = desk.add_new(New { at: Some(Timestamp(NOW.0 - 400 * DAY * 1000)), ..new("alpha beta three") });
    assert_eq!(desk.find("alpha beta"), [important, dull, old]);
}

#[test]
fn filters_choose_by_kind_tag_metadata_agent_session_and_time() {
    let mut desk = Desk::new();
    let metadata = |value: &str| [("type".to_string(), format!("{value:?}"))].into();
    let one =
        desk.add_new(New { tags: vec!["x".into()], metadata: metadata("preference"), ..new("one thing") });
    let two = desk.add_new(New { agent: Some("b".into()), kind: Kind::Episodic, ..new("two thing") });
    let three = desk.add_new(New { kind: Kind::ShortTerm, session: Some("s".into()), ..new("three thing") });
    let triple = Triple { subject: "Ada".into(), relation: "works at".into(), object: "Acme".into() };
    let four = desk.add_new(New { kind: Kind::Semantic, triples: vec![triple], ..new("") });
    let none = Filter::default;
    for (filter, expected) in [
        (none(), vec![one, two, three, four]),
        (Filter { kinds: vec![Kind::Episodic, Kind::Semantic], ..none() }, vec![two, four]),
        (Filter { tags: vec!["x".into()], ..none() }, vec![one]),
        (Filter { metadata: vec![("type".into(), "preference".into())], ..none() }, vec![one]),
        (Filter { metadata: vec![("type".into(), "\"preference\"".into())], ..none() }, vec![one]),
        (Filter { metadata: vec![("type".into(), "other".into())], ..none() }, vec![]),
        (Filter { agents: vec!["b".into()], ..none() }, vec![two]),
        (Filter { exclude_agents: vec!["b".into()], ..none() }, vec![one, three, four]),
        (Filter { session: Some("s".into()), ..none() }, vec![three]),
        (Filter { about: Some("acme".into()), ..none() }, vec![four]),
        (Filter { since: Some(NOW.plus_ms(1)), ..none() }, vec![]),
        (Filter { until: Some(NOW.plus_ms(1)), ..none() }, vec![one, two, three, four]),
        (Filter { namespace: Some("default".into()), ..none() }, vec![one, two, three, four]),
    ] {
        assert_eq!(desk.list(filter.clone()), expected, "{filter:?}");
        let mut found = desk.search(Search { question: "thing Ada".into(), filter, ..Search::default() });
        found.hits.sort_by_key(|hit| hit.memory.number);
        assert_eq!(found.hits.iter().map(|hit| hit.memory.number).collect::<Vec<_>>(), expected);
    }
    // What belongs to a session is seen by those who name it.
    let seen = |session: Option<&str>| {
        let filter = Filter { session: session.map(Into::into), ..none() };
        let list = Select { filter, limit: 100, ..Select::default() };
        match desk.as_agent(Some("other"), Ask::List(list)).unwrap() {
            Reply::Memories(_, all) => all,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((seen(None), seen(Some("s"))), (3, 1));
    // A day later the short-term memory is over, and swept.
    desk.now = NOW.plus_ms(DAY);
    assert_eq!(desk.list(none()), [one, two, four]);
    assert!(matches!(desk.ask(Ask::Sweep), Reply::Count(1)));
    assert_eq!(desk.stats().troubles(), Vec::<String>::new());
}

#[test]
fn a_key_has_one_memory_and_the_former_is_kept_but_not_found() {
    let desk = Desk::new();
    let old = desk.add_new(New { key: Some("editor".into()), ..new("uses vim") });
    let young = desk.add_new(New { key: Some("editor".into()), ..new("uses helix") });
    assert_eq!(desk.get("editor").unwrap().text, "uses helix");
    assert_eq!(desk.get(&id(old)).unwrap().superseded_by, Some(young));
    assert_eq!(desk.find("vim"), Vec::<u32>::new());
    desk.undo().unwrap();
    assert_eq!((desk.get("editor").unwrap().number, desk.find("vim")), (old, vec![old]));
    assert!(desk.get(&id(young)).unwrap_err().is(&codes::MEMORY_NOT_FOUND));
    // What is stored twice is there once; what happens twice happened twice.
    let (one, same) = (desk.add("the same"), desk.add("the same"));
    assert_eq!(one, same);
    let said = || New { kind: Kind::Episodic, ..new("yes") };
    assert_ne!(desk.add_new(said()), desk.add_new(said()));
}

#[test]
fn what_is_forgotten_is_in_no_table_and_in_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let desk = Desk { store: Store::open(&path, NOW).unwrap(), now: NOW };
    let keyed = |text: &str| New { key: Some("pin".into()), ..new(text) };
    desk.add("something to stay");
    let old = desk.add_new(keyed("zanzibar 4711 first"));
    let young = desk.add_new(keyed("zanzibar 4712 second"));
    let update = change::Update { text: Some("zanzibar 4713 third".into()), ..change::Update::default() };
    let update = Ask::Update { word: "pin".into(), filter: Filter::default(), update: Box::new(update) };
    desk.ask(update);
    let made = Made { number: young, updated: NOW, kept: kept(&[1, 2]) };
    assert!(matches!(desk.ask(Ask::PutVectors(vec![made])), Reply::Count(1)));
    assert_eq!(desk.forget(&["pin"]), [young, old]);
    assert_eq!(desk.find("zanzibar"), Vec::<u32>::new());
    assert_eq!((desk.stats().vectors, desk.stats().troubles()), (0, Vec::new()));
    let copy = folder.path().join("copy");
    desk.store.backup(&copy).unwrap();
    let bytes = std::fs::read(copy).unwrap();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"something to stay"));
    for needle in [&b"zanzibar"[..], b"4711", b"4712", b"4713"] {
        assert!(!holds(needle), "{}", String::from_utf8_lossy(needle));
    }
    // Ids are never given twice.
    assert_eq!(desk.add("the next"), young + 1);
}

#[test]
fn what_fails_in_the_middle_leaves_nothing() {
    let desk = Desk::new();
    let error = desk.as_agent(None, Ask::Store(vec![new("good one"), new(" ")])).unwrap_err();
    assert!(error.is(&codes::VALUE_INVALID));
    assert_eq!((desk.find("good"), desk.stats()), (vec![], Stats::default()));
    let many = vec![new("x"); change::MOST_AT_ONCE + 1];
    assert!(desk.as_agent(None, Ask::Store(many)).unwrap_err().is(&codes::MEMORY_TOO_LARGE));
}

#[test]
fn consolidation_supersedes_and_can_be_undone() {
    let desk = Desk::new();
    let one = desk.add_new(New {
        tags: vec!["a".into()],
        importance: Some(0.9),
        ..new("Deploys happen on Friday morning")
    });
    let two = desk.add_new(New { tags: vec!["b".into()], ..new("Deploys happen on friday mornings") });
    let ask = |dry_run| Ask::Consolidate { filter: Filter::default(), threshold: 0.9, model: None, dry_run };
    let steps = |reply: Reply| match reply {
        Reply::Steps(steps, id) => (steps.len(), id.is_some()),
        other => panic!("{other:?}"),
    };
    assert_eq!(steps(desk.ask(ask(true))), (1, false));
    assert_eq!(desk.list(Filter::default()), [one, two]);
    assert_eq!(steps(desk.ask(ask(false))), (1, true));
    let kept = desk.get(&id(two)).unwrap();
    assert_eq!(
        (desk.list(Filter::default()), kept.tags, kept.importance),
        (vec![two], vec!["a".into(), "b".into()], 0.9)
    );
    assert_eq!(desk.stats().superseded, 1);
    assert_eq!(steps(desk.ask(ask(false))), (0, false), "once is enough");
    desk.undo().unwrap();
    assert_eq!(desk.find("deploys friday"), [one, two]);
    assert_eq!(desk.get(&id(two)).unwrap().importance, USUAL);
    assert!(desk.undo().unwrap_err().is(&codes::UNDO_NOTHING));
    assert_eq!(desk.stats().troubles(), Vec::<String>::new());
}

#[test]
fn pruning_can_be_undone_unless_something_came_in_between() {
    let mut desk = Desk::new();
    let dull = desk.add("a dull thing");
    let important = desk.add_new(New { importance: Some(0.9), ..new("an important thing") });
    desk.now = NOW.plus_ms(100 * DAY);
    let prune = Prune { max_age_days: 90, importance_threshold: 0.7, superseded: true };
    let ask = |dry_run| Ask::Prune { filter: Filter::default(), prune, dry_run };
    assert!(matches!(desk.ask(ask(true)), Reply::Pruned(gone, None) if gone.len() == 1));
    assert!(matches!(desk.ask(ask(false)), Reply::Pruned(gone, Some(_)) if gone[0].number == dull));
    assert_eq!(desk.list(Filter::default()), [important]);
    desk.undo().unwrap();
    assert_eq!(desk.find("dull"), [dull]);
    let change = |text: &str| {
        let update = change::Update { text: Some(text.into()), ..change::Update::default() };
        desk.ask(Ask::Update { word: id(dull), filter: Filter::default(), update: Box::new(update) });
    };
    change("second");
    change("third");
    let first = Ask::Undo { id: Some(2), force: false };
    assert!(desk.as_agent(None, first).unwrap_err().is(&codes::MEMORY_CHANGED));
    desk.undo().unwrap();
    assert_eq!(desk.get(&id(dull)).unwrap().text, "second");
    desk.undo().unwrap();
    assert_eq!(desk.find("dull"), [dull]);
}

#[test]
fn patterns_are_told_and_kept_under_keys_of_their_own() {
    let desk = Desk::new();
    for hour in ["nine", "ten", "eleven"] {
        desk.add_new(New { tags: vec!["meeting".into()], ..new(&format!("morning meeting at {hour}")) });
    }
    let ask = |keep: Option<&str>| Ask::Patterns {
        filter: Filter::default(),
        least: 3,
        keep: keep.map(Into::into),
        dry_run: false,
    };
    let Reply::Patterns(found, None) = desk.ask(ask(None)) else { panic!() };
    assert!(
        found.iter().any(|pattern| pattern.what == "tag" && pattern.value == "meeting" && pattern.count == 3)
    );
    for _ in 0..2 {
        assert!(matches!(desk.ask(ask(Some("learned"))), Reply::Patterns(_, Some(_))));
    }
    let kept = desk.list(Filter { namespace: Some("learned".into()), ..Filter::default() });
    assert_eq!(kept.len(), found.len());
    assert!(
        desk.get("pattern tag meeting").unwrap().text.starts_with("tag meeting in 3 memories, such as m1")
    );
}

fn kept(values: &[i8]) -> Kept {
    Kept { model: "test".into(), vector: Vector { scale: 0.1, values: values.to_vec() } }
}

#[test]
fn meaning_finds_what_words_do_not_and_names_still_come_first() {
    let desk = Desk::new();
    let coffee = desk.add("She starts each day with an espresso");
    let build = desk.add("Build B1047 broke on the release branch");
    let tax = desk.add("Taxes are due in May");
    let made = [(coffee, [8, 6]), (build, [-6, 8]), (tax, [0, -10])];
    let put = made.map(|(number, values)| Made { number, updated: NOW, kept: kept(&values) });
    desk.ask(Ask::PutVectors(put.to_vec()));
    let ask = |question: &str, values: &[i8]| {
        let vector = Some(("test".to_string(), kept(values).vector));
        let found = desk.search(Search { question: question.into(), vector, ..Search::default() });
        assert!(found.by_meaning && found.without_vector == 0);
        found.hits.iter().map(|hit| (hit.memory.number, hit.by)).collect::<Vec<_>>()
    };
    assert_eq!(ask("what does she drink", &[8, 6]), [(coffee, By::Meaning), (build, By::Words)][..1]);
    assert_eq!(ask("B1047 drink", &[8, 6]), [(build, By::Name), (coffee, By::Meaning)]);
    // Vectors of another model, or of another length, say nothing.
    let other = Some(("other".to_string(), kept(&[8, 6]).vector));
    let found = desk.search(Search { question: "espresso".into(), vector: other, ..Search::default() });
    assert_eq!((found.hits.len(), found.by_meaning), (1, false));
    assert_eq!(ask("espresso", &[1, 2, 3]), [(coffee, By::Words)]);
    // One that was made for a text that has changed is not kept.
    let stale = Made { number: tax, updated: Timestamp(1), kept: kept(&[1, 1]) };
    assert!(matches!(desk.ask(Ask::PutVectors(vec![stale])), Reply::Count(0)));
    let pending = Ask::Pending { model: "other".into(), after: coffee, limit: 10 };
    assert!(matches!(desk.ask(pending), Reply::Memories(found, 2) if found[0].number == build));
}

#[test]
fn the_index_can_be_made_anew() {
    let desk = Desk::new();
    let number = desk.add("something to find");
    desk.store.write(index::clear).unwrap();
    assert_eq!(desk.find("something"), Vec::<u32>::new());
    assert_eq!(desk.stats().troubles(), ["1 memories more or less in the index than there are"]);
    assert!(matches!(desk.ask(Ask::Reindex { vectors: true }), Reply::Count(1)));
    assert_eq!((desk.find("something"), desk.stats().troubles()), (vec![number], Vec::new()));
}

#[test]
fn what_is_exported_comes_back() {
    let desk = Desk::new();
    let triple = Triple { subject: "a".into(), relation: "b".into(), object: "c".into() };
    let metadata = [("n".to_string(), "0.85".to_string())].into();
    let agent = Some("bot".to_string());
    let text = "line one\nline two \u{1F980}";
    desk.add_new(New { triples: vec![triple], metadata, agent, tags: vec!["t".into()], ..new(text) });
    let before = desk.get("m1").unwrap();
    let line = transfer::document(&before).to_string();
    let again = Desk::new();
    let read = transfer::read("f", &format!("\n{line}\n"), NOW).unwrap();
    again.ask(Ask::Import(read.clone()));
    assert_eq!(again.get("m1").unwrap(), before);
    assert!(matches!(again.ask(Ask::Import(read)), Reply::Stored(stored) if !stored[0].new));
    for (line, words) in [
        ("{", "f:1: EOF"),
        ("[1]", "a memory is an object"),
        (r#"{"text":"\ud800"}"#, "hex escape"),
        (r#"{"text":"x","created":"then"}"#, "`created` is no time"),
        (r#"{"text":"x","triples":[["a"]]}"#, "three texts"),
    ] {
        let error = transfer::read("f", line, NOW).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(
        transfer::markdown(&[before]).contains("## m1\n\nlong-term, bot, 2027-01-15 #t\n\n- a b c\nline one")
    );
}

#[test]
fn many_memories_fill_many_blocks() {
    let desk = Desk::new();
    for batch in 0..3 {
        let new = (0..400).map(|n| new(&format!("common word{} number {n}", batch * 400 + n))).collect();
        desk.ask(Ask::Store(new));
    }
    assert_eq!(desk.find("word1100")[0], 1101);
    assert_eq!(desk.search(Search { question: "common".into(), ..Search::default() }).hits.len(), 10);
    desk.forget(&["m1101"]);
    assert!(!desk.find("word1100").contains(&1101));
    assert_eq!(desk.stats().troubles(), Vec::<String>::new());
}
