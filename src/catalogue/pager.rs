//! Reads a registry page by page: which address comes next, and when enough is enough. Fetches nothing itself.
//! Rule: whatever a registry answers, the reading ends.

use super::model::Pending;
use super::registry::Page;
use crate::clock::Timestamp;
use crate::error::{Error, Result, codes};
use std::collections::HashSet;
use url::Url;

/// Entries asked for at once.
const PAGE: u32 = 100;
const MOST_PAGES: u64 = 2_000;
const MOST_BYTES: u64 = 512 << 20;
const MOST_MS: u64 = 15 * 60 * 1_000;
/// Pages without an entry that still name a next one.
const MOST_EMPTY: u32 = 3;

/// The way through a registry.
#[derive(Debug)]
pub struct Pager {
    base: Url,
    /// The version of the API: the stable one, else the one before.
    version: &'static str,
    pub pending: Pending,
    pub pages: u64,
    pub items: u64,
    bytes: u64,
    empty: u32,
    started: Timestamp,
    seen: HashSet<String>,
}

impl Pager {
    pub fn new(base: &str, pending: Pending, now: Timestamp) -> Result<Self> {
        let mut base = Url::parse(base).map_err(|error| {
            Error::new(&codes::VALUE_INVALID, format!("`{base}` is no address")).because(error)
        })?;
        // An address may be given as it stands in a document of the API.
        let path = base.path().trim_end_matches('/').trim_end_matches("/servers").to_string();
        let (path, version) = match path.strip_suffix("/v0") {
            Some(path) => (path.to_string(), "v0"),
            None => (path.trim_end_matches("/v0.1").to_string(), "v0.1"),
        };
        base.set_path(&path);
        base.set_query(None);
        base.set_fragment(None);
        let seen = pending.cursor.iter().cloned().collect();
        Ok(Self { base, version, pending, pages: 0, items: 0, bytes: 0, empty: 0, started: now, seen })
    }

    /// The address of the next page.
    pub fn url(&self) -> String {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}/servers", self.base.path().trim_end_matches('/'), self.version));
        let mut query = url.query_pairs_mut();
        query.append_pair("limit", &PAGE.to_string()).append_pair("version", "latest");
        if let Some(since) = &self.pending.since {
            query.append_pair("updated_since", since);
        }
        if let Some(cursor) = &self.pending.cursor {
            query.append_pair("cursor", cursor);
        }
        drop(query);
        url.into()
    }

    /// The registry does not know the stable version of the API; whether there is another to try.
    pub fn older(&mut self) -> bool {
        let is_first = self.pages == 0 && self.version == "v0.1";
        self.version = "v0";
        is_first
    }

    /// Begins at the first page again, since the registry has forgotten the cursor.
    pub fn restart(&mut self) {
        self.pending.cursor = None;
        self.seen.clear();
    }

    /// Takes a page; whether another one follows.
    pub fn take(&mut self, page: &Page, bytes: usize, now: Timestamp) -> Result<bool> {
        self.pages += 1;
        self.items += page.items as u64;
        self.bytes += bytes as u64;
        if let Some(newest) = &page.newest
            && Timestamp::parse(newest) > self.pending.newest.as_deref().and_then(Timestamp::parse)
        {
            self.pending.newest = Some(newest.clone());
        }
        self.empty = if page.items == 0 { self.empty + 1 } else { 0 };
        let Some(next) = &page.next else {
            self.pending.cursor = None;
            return Ok(false);
        };
        let too_much = |what: &str| {
            let message = format!("the registry at `{}` {what}; what came before is kept", self.base);
            Error::new(&codes::SOURCE_INVALID, message)
        };
        let what = if !self.seen.insert(next.clone()) {
            Some("leads in a circle")
        } else if self.empty >= MOST_EMPTY {
            Some("answers with empty pages without end")
        } else if self.pages >= MOST_PAGES || self.bytes >= MOST_BYTES {
            Some("has no end")
        } else {
            None
        };
        if let Some(what) = what {
            // To go on from here would lead to the same again.
            self.pending.cursor = None;
            return Err(too_much(what));
        }
        self.pending.cursor = Some(next.clone());
        if now.since_ms(self.started) > MOST_MS {
            let message = format!("the registry at `{}` took longer than 15 minutes", self.base);
            return Err(
                Error::new(&codes::TIMED_OUT, message).hint("umcp catalog refresh goes on where it stopped")
            );
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next: Option<&str>, items: usize) -> Page {
        Page { next: next.map(String::from), items, ..Page::default() }
    }

    fn pager() -> Pager {
        Pager::new("https://r.example.com", Pending::default(), Timestamp(0)).unwrap()
    }

    #[test]
    fn the_address_of_a_page() {
        for (base, expected) in [
            ("https://r.example.com", "https://r.example.com/v0.1/servers?limit=100&version=latest"),
            ("https://r.example.com/sub/", "https://r.example.com/sub/v0.1/servers?limit=100&version=latest"),
            ("https://r.example.com/v0/servers", "https://r.example.com/v0/servers?limit=100&version=latest"),
            ("https://r.example.com/v0.1", "https://r.example.com/v0.1/servers?limit=100&version=latest"),
        ] {
            assert_eq!(Pager::new(base, Pending::default(), Timestamp(0)).unwrap().url(), expected);
        }
        let pending = Pending {
            cursor: Some("a/b:1&x".into()),
            since: Some("2026-01-01T00:00:00Z".into()),
            newest: None,
        };
        assert_eq!(
            Pager::new("https://r.example.com", pending, Timestamp(0)).unwrap().url(),
            "https://r.example.com/v0.1/servers?limit=100&version=latest&updated_since=2026-01-01T00%3A00%3A00Z&cursor=a%2Fb%3A1%26x"
        );
        let mut old = pager();
        assert!(old.older() && !old.older());
        assert_eq!(old.url(), "https://r.example.com/v0/servers?limit=100&version=latest");
    }

    #[test]
    fn a_reading_ends_whatever_is_answered() {
        let mut whole = pager();
        assert!(whole.take(&page(Some("1"), 2), 10, Timestamp(0)).unwrap());
        assert!(!whole.take(&page(None, 1), 10, Timestamp(0)).unwrap());
        assert_eq!((whole.pages, whole.items, whole.pending.cursor), (2, 3, None));

        let mut circle = pager();
        circle.take(&page(Some("1"), 2), 10, Timestamp(0)).unwrap();
        circle.take(&page(Some("2"), 2), 10, Timestamp(0)).unwrap();
        let told = circle.take(&page(Some("1"), 2), 10, Timestamp(0)).unwrap_err();
        assert_eq!(circle.pending.cursor, None);
        assert!(told.message.contains("leads in a circle"), "{}", told.message);

        let ends = |items: usize, bytes: usize| {
            let mut pager = pager();
            for number in 0.. {
                if let Err(error) = pager.take(&page(Some(&number.to_string()), items), bytes, Timestamp(0)) {
                    return (number, error.message);
                }
            }
            unreachable!("the loop has no end of its own")
        };
        assert_eq!(ends(0, 10).0, 2);
        assert_eq!(ends(1, 10).0, MOST_PAGES - 1);
        assert_eq!(ends(1, 64 << 20).0, 7);
        let late = pager().take(&page(Some("1"), 1), 1, Timestamp::from_millis(MOST_MS + 1)).unwrap_err();
        assert!(late.is(&codes::TIMED_OUT));
    }

    #[test]
    fn the_newest_change_is_kept() {
        let mut pager = pager();
        for (newest, kept) in [
            ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ] {
            pager.take(&Page { newest: Some(newest.into()), ..page(None, 1) }, 1, Timestamp(0)).unwrap();
            assert_eq!(pager.pending.newest.as_deref(), Some(kept));
        }
    }
}
