//! The list umcp brings along: well-known servers and its own apps, for a first search without any network.

use super::list::own_list;
use super::model::{Entry, Origin, Source};
use std::sync::OnceLock;

const TEXT: &str = include_str!("../../assets/catalogue/servers.yaml");
/// The source's name.
pub const BUNDLED: &str = "bundled";
/// The name of the registry that is known from the start, and read when the user says so.
pub const OFFICIAL: &str = "official";
const OFFICIAL_URL: &str = "https://registry.modelcontextprotocol.io";

/// All bundled entries, by name.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        own_list("servers.yaml", TEXT, false).expect("a test has read the bundled list").entries
    })
}

/// One by its name.
pub fn find(name: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.name == name)
}

/// Tells one version of the list from another.
pub fn stamp() -> u32 {
    TEXT.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// How many entries there are. Every start of the daemon asks, and need not read them all for it.
fn count() -> u64 {
    TEXT.lines().filter(|line| line.starts_with("  - name: ")).count() as u64
}

/// The sources that need not be added.
pub fn sources() -> [Source; 2] {
    let bundled = Source { entries: count(), ..Source::new(BUNDLED, Origin::Bundled) };
    [bundled, Source::new(OFFICIAL, Origin::Registry { url: OFFICIAL_URL.into() })]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Way;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_is_whole() {
        let entries = entries();
        assert!(entries.len() >= 80, "{}", entries.len());
        assert_eq!(entries.len() as u64, count());
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert!(names.is_sorted(), "the list is by name");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name stands twice");
        let subjects: BTreeSet<String> = entries.iter().map(|entry| entry.ways[0].subject()).collect();
        assert_eq!(subjects.len(), names.len(), "a server stands twice");
        for entry in entries {
            assert!(!entry.categories.is_empty() && entry.title.is_some(), "{}", entry.name);
            let ours = matches!(entry.ways[0], Way::App { .. });
            assert!(ours || entry.homepage.is_some() || entry.repository.is_some(), "{}", entry.name);
            assert!(!entry.description.ends_with('.') && entry.description.len() <= 120, "{}", entry.name);
        }
    }
}
