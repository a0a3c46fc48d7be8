//! HTML to readable text: tags away, scripts and styles with their content, links and structure kept in the way of
//! Markdown, entities decoded. It reads any input without failing and in linear time; it is no parser of documents.

use super::entities::decode;
use reqwest::Url;

/// Elements whose content is nothing to read.
const SILENT: [&str; 8] = ["script", "style", "template", "svg", "iframe", "object", "canvas", "noscript"];
/// Elements that begin and end on a line of their own, with a blank line around.
const BLOCKS: [&str; 22] = [
    "p",
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "aside",
    "ul",
    "ol",
    "table",
    "blockquote",
    "form",
    "fieldset",
    "figure",
    "figcaption",
    "dl",
    "details",
    "summary",
    "address",
    "pre",
];
/// Elements that begin on a new line.
const LINES: [&str; 6] = ["li", "tr", "dt", "dd", "option", "legend"];

/// Whether a text without a type is HTML.
pub fn looks_like_html(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(200).collect::<String>().to_ascii_lowercase();
    head.starts_with("<!doctype html") || head.contains("<html") || head.contains("<body")
}

/// Title and text of a page. Links are made whole with `base`.
pub fn readable(html: &str, base: &Url) -> (Option<String>, String) {
    let mut page =
        Page { base, out: String::new(), space: false, breaks: 0, pre: 0, link: None, title: None };
    let mut rest = html;
    while let Some(at) = memchr::memchr(b'<', rest.as_bytes()) {
        page.text(&rest[..at]);
        rest = &rest[at..];
        rest = match Tag::read(rest) {
            Markup::Tag(tag, after) => page.tag(&tag, after),
            Markup::Skip(after) => after,
            Markup::Text => {
                page.text("<");
                &rest[1..]
            }
        };
    }
    page.text(rest);
    page.end_link();
    let title = page.title.take().map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
    (title.filter(|title| !title.is_empty()), page.out.trim().to_string())
}

struct Page<'a> {
    base: &'a Url,
    out: String,
    /// A space is due before the next word.
    space: bool,
    /// Line breaks due before the next word.
    breaks: usize,
    /// Open `pre` elements.
    pre: usize,
    /// Where the open link began, and where it leads.
    link: Option<(usize, String)>,
    title: Option<String>,
}

impl Page<'_> {
    fn text(&mut self, raw: &str) {
        if raw.is_empty() {
            return;
        }
        let text = decode(raw);
        if self.pre > 0 {
            self.flush();
            self.out.push_str(&text);
            return;
        }
        for piece in text.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if !word.is_empty() {
                self.flush();
                self.out.push_str(word);
            }
            self.space |= word.len() < piece.len();
        }
    }

    /// Writes the space or the line breaks that are due.
    fn flush(&mut self) {
        let (breaks, space) = (std::mem::take(&mut self.breaks), std::mem::take(&mut self.space));
        if self.out.is_empty() {
            return;
        }
        if breaks > 0 {
            let there = self.out.len() - self.out.trim_end_matches('\n').len();
            self.out.extend(std::iter::repeat_n('\n', breaks.saturating_sub(there)));
        } else if space && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
    }

    fn lines(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    /// Writes a mark such as `- ` that the next word follows at once.
    fn mark(&mut self, mark: &str) {
        self.flush();
        self.out.push_str(mark);
    }

    /// Takes a tag and returns what is left after it, which is more than the tag for silent elements.
    fn tag<'h>(&mut self, tag: &Tag<'_>, after: &'h str) -> &'h str {
        let name = tag.name.as_str();
        if !tag.closes && (name == "title" || SILENT.contains(&name)) {
            let (content, rest) = until_close(after, name);
            if name == "title" && self.title.is_none() {
                self.title = Some(decode(content));
            }
            return rest;
        }
        match name {
            "a" => {
                self.end_link();
                let target = tag.attribute("href").filter(|_| !tag.closes).and_then(|href| self.whole(&href));
                if let Some(target) = target {
                    self.flush();
                    self.link = Some((self.out.len(), target));
                }
            }
            "br" => self.lines(1),
            "hr" => {
                self.lines(2);
                self.mark("---");
                self.lines(2);
            }
            "img" => {
                if let Some(alt) = tag.attribute("alt").filter(|alt| !alt.trim().is_empty()) {
                    self.text(&format!("[image: {}]", alt.trim()));
                }
            }
            "td" | "th" if !tag.closes => {
                if !self.out.ends_with('\n') && self.breaks == 0 && !self.out.is_empty() {
                    self.mark(" | ");
                    self.space = false;
                }
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.lines(2);
                if !tag.closes {
                    self.mark(&format!("{} ", "#".repeat(usize::from(name.as_bytes()[1] - b'0'))));
                }
            }
            _ => self.block(tag),
        }
        after
    }

    fn block(&mut self, tag: &Tag<'_>) {
        let name = tag.name.as_str();
        if LINES.contains(&name) {
            self.lines(1);
            if name == "li" && !tag.closes {
                self.mark("- ");
            }
        } else if BLOCKS.contains(&name) {
            self.lines(2);
            if name == "pre" {
                self.pre = if tag.closes { self.pre.saturating_sub(1) } else { self.pre + 1 };
            }
        }
    }

    /// An address made whole; `None` for one that leads nowhere a reader could go.
    fn whole(&self, href: &str) -> Option<String> {
        let href = href.trim();
        if href.is_empty() || href.starts_with('#') {
            return None;
        }
        let url = self.base.join(href).ok()?;
        matches!(url.scheme(), "http" | "https" | "mailto").then(|| url.to_string())
    }

    fn end_link(&mut self) {
        let Some((start, target)) = self.link.take() else { return };
        let text = self.out[start..].split_whitespace().collect::<Vec<_>>().join(" ");
        self.out.truncate(start);
        if text == target {
            self.out.push_str(&target);
        } else if !text.is_empty() {
            self.out.push_str(&format!("[{text}]({target})"));
        }
    }
}

/// The content of a silent element, and what follows its closing tag.
fn until_close<'h>(html: &'h str, name: &str) -> (&'h str, &'h str) {
    let bytes = html.as_bytes();
    for at in memchr::memchr_iter(b'<', bytes) {
        let end = at + 2 + name.len();
        let named = bytes.get(at + 1) == Some(&b'/')
            && bytes.get(at + 2..end).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()));
        if named && bytes.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric()) {
            let rest = &html[end..];
            let after = memchr::memchr(b'>', rest.as_bytes()).map_or("", |close| &rest[close + 1..]);
            return (&html[..at], after);
        }
    }
    (html, "")
}

/// What stands at a `<`.
enum Markup<'h> {
    Tag(Tag<'h>, &'h str),
    /// A comment or declaration, with what follows it.
    Skip(&'h str),
    /// Only a character.
    Text,
}

struct Tag<'h> {
    /// In lower case.
    name: String,
    closes: bool,
    attributes: &'h str,
}

impl<'h> Tag<'h> {
    /// Reads markup; `html` begins with `<`.
    fn read(html: &'h str) -> Markup<'h> {
        if let Some(comment) = html.strip_prefix("<!--") {
            return Markup::Skip(comment.find("-->").map_or("", |end| &comment[end + 3..]));
        }
        let closes = html.starts_with("</");
        let body = &html[if closes { 2 } else { 1 }..];
        match body.bytes().next() {
            Some(byte) if byte.is_ascii_alphabetic() => {}
            Some(b'!' | b'?') => {
                return Markup::Skip(
                    memchr::memchr(b'>', body.as_bytes()).map_or("", |end| &body[end + 1..]),
                );
            }
            _ => return Markup::Text,
        }
        let length =
            body.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"-:".contains(byte)).count();
        let (name, rest) = body.split_at(length);
        let end = end_of_tag(rest);
        let attributes = &rest[..end.min(rest.len())];
        let after = rest.get(end + 1..).unwrap_or_default();
        Markup::Tag(Self { name: name.to_ascii_lowercase(), closes, attributes }, after)
    }

    fn attribute(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            // At least one character, so that a stray `=` is passed over.
            let length =
                rest.chars().skip(1).take_while(|c| !c.is_whitespace() && *c != '=').map(char::len_utf8);
            let length = rest.chars().next().map_or(0, char::len_utf8) + length.sum::<usize>();
            let (name, after) = rest.split_at(length);
            let Some(value) = after.trim_start().strip_prefix('=') else {
                rest = after;
                continue;
            };
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (value, after) = match quote {
                Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(decode(value));
            }
            rest = after;
        }
    }
}

/// Where the `>` of a tag is; quotes may hold others.
fn end_of_tag(rest: &str) -> usize {
    let mut quote = None;
    let mut before = b' ';
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            // A quote elsewhere than after `=` is only a character.
            (None, b'"' | b'\'') if before == b'=' => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    // Never closed: the tag ends at the first `>` there is, else with the text.
    memchr::memchr(b'>', rest.as_bytes()).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        readable(html, &Url::parse("https://example.com/a/b").unwrap()).1
    }

    #[test]
    fn a_page_becomes_readable() {
        let html = "<!DOCTYPE html><html><head><title>A &amp;\n B</title><style>p{}</style></head><body>\
            <nav><a href='/home'>Home</a></nav><h1>Big <b>news</b></h1><script>if (a<b) { '</p>' }</script>\
            <p>One\n  two&nbsp;three<br>four.</p><!-- <p>no</p> --><ul><li>first<li><a href=\"../x?a=1&amp;b=2\">second\n</a></li></ul>\
            <pre>a\n  b</pre><table><tr><th>k<th>v<tr><td>1</td><td>2</td></tr></table><img alt='A cat' src=x></body></html>";
        let (title, text) = readable(html, &Url::parse("https://example.com/a/b").unwrap());
        assert_eq!(title.as_deref(), Some("A & B"));
        assert_eq!(
            text,
            "[Home](https://example.com/home)\n\n# Big news\n\nOne two three\nfour.\n\n- first\n\
             - [second](https://example.com/x?a=1&b=2)\n\na\n  b\n\nk | v\n1 | 2\n\n[image: A cat]"
        );
    }

    #[test]
    fn odd_markup_is_read_somehow() {
        for (html, expected) in [
            ("a < b && c > d", "a < b && c > d"),
            ("<p title='a > b'>x", "x"),
            ("<p title=\"open>x</p>", "x"),
            ("<a href=#top>top</a>", "top"),
            ("<a href='javascript:x()'>do</a>", "do"),
            ("<a href=https://x.org/>https://x.org/</a>", "https://x.org/"),
            ("<a href=/x><img alt=''></a>y", "y"),
            ("<script>never closed", ""),
            ("<SCRIPT>x</sCript >y", "y"),
            ("&#228;&#xE4;&auml; &unknown; &#0; &", "äää &unknown; &#0; &"),
            ("<", "<"),
            ("</", "</"),
            ("<!-- open", ""),
            ("<a href", ""),
            ("ä<b>ö</b>ü", "äöü"),
        ] {
            assert_eq!(text(html), expected, "{html}");
        }
    }

    #[test]
    fn nothing_breaks_it() {
        use proptest::proptest;
        proptest!(|(html in r#"(<|>|/|a|p|pre|script|!--|--|&|;|#x?1|=|"|'| |href|ä|\n){0,60}"#)| {
            text(&html);
        });
    }

    #[test]
    fn an_untyped_text_tells_what_it_is() {
        assert!(looks_like_html("\n<!DOCTYPE HTML>"));
        assert!(!looks_like_html("{\"a\": 1}"));
    }
}
