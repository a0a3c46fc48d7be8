//! Entities of HTML: those by number, and the named ones that turn up in the text of pages.
//! A name that is not here stays as it was written, which loses nothing.

#[rustfmt::skip]
const ENTITIES: [(&str, &str); 47] = [
    ("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'"), ("nbsp", " "),
    ("copy", "©"), ("reg", "®"), ("trade", "™"), ("hellip", "…"), ("mdash", "—"), ("ndash", "–"),
    ("lsquo", "‘"), ("rsquo", "’"), ("ldquo", "“"), ("rdquo", "”"), ("bdquo", "„"), ("laquo", "«"),
    ("raquo", "»"), ("bull", "•"), ("middot", "·"), ("times", "×"), ("deg", "°"), ("euro", "€"),
    ("pound", "£"), ("sect", "§"), ("larr", "←"), ("rarr", "→"), ("shy", ""), ("zwnj", ""),
    ("auml", "ä"), ("ouml", "ö"), ("uuml", "ü"), ("Auml", "Ä"), ("Ouml", "Ö"), ("Uuml", "Ü"),
    ("szlig", "ß"), ("agrave", "à"), ("aacute", "á"), ("ccedil", "ç"), ("egrave", "è"), ("eacute", "é"),
    ("ecirc", "ê"), ("iacute", "í"), ("ntilde", "ñ"), ("oacute", "ó"), ("uacute", "ú"),
];
/// The longest name of an entity.
const MAX_ENTITY: usize = 10;

/// Decodes entities; what is none stays as it is.
pub fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(MAX_ENTITY + 2).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(rest.get(1..end)?)?, end))) {
            Some((value, end)) => {
                decoded.push_str(&value);
                rest = &rest[end + 1..];
            }
            None => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

fn entity(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code)
            .filter(|c| *c != '\0')
            .map(|c| if c == '\u{a0}' { ' ' } else { c }.to_string());
    }
    let found = ENTITIES.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| (*value).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_decoded_and_nothing_else() {
        for (text, expected) in [
            ("a &amp; b", "a & b"),
            ("&#228;&#xE4;&#XE4;&auml;", "ääää"),
            ("x&#160;y&nbsp;z", "x y z"),
            ("&amp;lt;", "&lt;"),
            ("&unknown; &#0; &#xD800; &; & &verylongname;", "&unknown; &#0; &#xD800; &; & &verylongname;"),
            ("&ä;&", "&ä;&"),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }
}
