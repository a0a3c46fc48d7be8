//! A list cut into pages of ready bytes, with cursors that fit no other list. It knows nothing of what it lists.

use bytes::Bytes;

/// One kind of list, cut into pages of ready JSON text.
#[derive(Default)]
pub struct List {
    /// `{"tools":[…],"nextCursor":"…"}`, one for each page; at least one.
    pages: Vec<Bytes>,
}

impl List {
    pub fn build<'a>(
        key: &str,
        items: impl ExactSizeIterator<Item = &'a str>,
        page: usize,
        tag: u32,
    ) -> Self {
        let count = items.len();
        let mut pages = Vec::with_capacity(count / page.max(1) + 1);
        let mut body = format!("{{\"{key}\":[");
        for (i, item) in items.enumerate() {
            if i > 0 && i % page == 0 {
                body.push_str(&format!("],\"nextCursor\":\"{tag:08x}-{}\"}}", pages.len() + 1));
                pages.push(Bytes::from(std::mem::replace(&mut body, format!("{{\"{key}\":["))));
            } else if i > 0 {
                body.push(',');
            }
            body.push_str(item);
        }
        body.push_str("]}");
        pages.push(body.into());
        Self { pages }
    }

    /// All items as one JSON array.
    pub fn whole(&self, key: &str) -> String {
        let items: Vec<String> = self
            .pages
            .iter()
            .filter_map(|page| {
                let page: serde_json::Value = serde_json::from_slice(page).ok()?;
                Some(page[key].as_array()?.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
            })
            .filter(|page| !page.is_empty())
            .collect();
        format!("[{}]", items.join(","))
    }

    /// The page of a cursor; `None` when the cursor is not one of this list.
    pub fn page(&self, cursor: Option<&str>) -> Option<Bytes> {
        let Some(cursor) = cursor else { return self.pages.first().cloned() };
        let (_, number) = cursor.split_once('-')?;
        let number: usize = number.parse().ok()?;
        let before = number.checked_sub(1)?;
        // The cursor must be the very one the page before gave out: it carries the list's tag.
        let given = format!("\"nextCursor\":\"{cursor}\"}}");
        self.pages.get(before)?.ends_with(given.as_bytes()).then(|| self.pages.get(number).cloned())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_paged_and_refuses_foreign_cursors() {
        let items = ["1", "2", "3", "4", "5"];
        let list = List::build("tools", items.iter().copied(), 2, 7);
        let first = list.page(None).unwrap();
        assert_eq!(first, r#"{"tools":[1,2],"nextCursor":"00000007-1"}"#);
        assert_eq!(list.page(Some("00000007-1")).unwrap(), r#"{"tools":[3,4],"nextCursor":"00000007-2"}"#);
        assert_eq!(list.page(Some("00000007-2")).unwrap(), r#"{"tools":[5]}"#);
        for cursor in ["", "x", "00000007-0", "00000007-3", "00000008-1", "-1"] {
            assert_eq!(list.page(Some(cursor)), None, "{cursor}");
        }
        assert_eq!(List::build("tools", [].into_iter(), 2, 7).page(None).unwrap(), r#"{"tools":[]}"#);
    }
}
