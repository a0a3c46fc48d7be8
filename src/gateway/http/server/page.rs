//! The pages a person sees: consent, and why there is none. Plain HTML without scripts; nothing of it may be framed or kept.
//! Rule: every word that came from outside is escaped, in text and in values.

use super::desk::Wish;
use super::redirect;
use crate::gateway::http::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}\
input,button{font:inherit;padding:.4rem .6rem}code{overflow-wrap:anywhere}";

/// The page on which the owner decides. `wrong`: the one-time code was not the right one.
pub fn consent(wish: &Wish, id: &str, wrong: bool) -> Response<Body> {
    let scopes: String = wish
        .scopes
        .explained()
        .map(|(word, about)| format!("<li>{about} (<code>{word}</code>)</li>"))
        .collect();
    let wrong = match wrong {
        true => {
            "<p role=\"alert\"><strong>That was not the code, or it has ended. Make a new one: <code>umcp gateway authorize</code></strong></p>"
        }
        false => "",
    };
    let body = format!(
        "<h1>Let a client use umcp?</h1>\
         <p>A client that calls itself <strong>{name}</strong> asks for access to <code>{resource}</code>. \
         Its answer goes to <code>{place}</code>; allow it only if you have just begun this there.</p>\
         <p>It could:</p><ul>{scopes}</ul>{wrong}\
         <form method=\"post\" action=\"/oauth/authorize\"><input type=\"hidden\" name=\"request\" value=\"{id}\">\
         <p><label>Code from <code>umcp gateway authorize</code>: \
         <input name=\"word\" autocomplete=\"off\" autocapitalize=\"characters\" maxlength=\"20\"></label></p>\
         <p><button name=\"decision\" value=\"allow\">Allow</button> <button name=\"decision\" value=\"deny\">Deny</button></p></form>",
        name = escaped(&wish.name),
        resource = escaped(&wish.resource),
        place = escaped(&redirect::source(&wish.redirect)),
        id = escaped(id),
    );
    page(StatusCode::OK, &body, &format!("'self' {}", redirect::source(&wish.redirect)))
}

/// A page that says why nobody is asked.
pub fn refusal(why: &str) -> Response<Body> {
    page(
        StatusCode::BAD_REQUEST,
        &format!("<h1>This request cannot be granted</h1><p>{}</p>", escaped(why)),
        "'none'",
    )
}

fn page(status: StatusCode, body: &str, forms: &str) -> Response<Body> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>umcp</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>{body}</body></html>"
    );
    let style = STANDARD.encode(crate::ids::sha256(&[STYLE.as_bytes()]));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = Response::new(Body::full(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        // Not `no-referrer`: with that a browser hides the origin of the form too.
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert("content-security-policy", policy);
    }
    response
}

/// Text for a page, without what hides or turns text around.
fn escaped(text: &str) -> String {
    let hides = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().filter(|c| !hides(c)).take(300).fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_words() {
        assert_eq!(escaped("<b onload='x'>\"&\u{202e}\u{7}"), "&lt;b onload=&#39;x&#39;&gt;&quot;&amp;");
        let long = "x".repeat(10_000);
        assert_eq!(escaped(&long).len(), 300);
    }
}
