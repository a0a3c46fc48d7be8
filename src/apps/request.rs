//! From an HTTP tool and its arguments to the request that is sent: pure, so that a dry run shows what a real one does.
//! Rule: an argument reaches only the place it was given: one segment of the path, one value of the query, one header,
//! one field of the body. It can neither change the host nor add a header.

use super::model::{Body, Definition, Field, Http, Scheme, Style};
use super::template::{Resolve, fill, fill_value, names, plain};
use crate::error::{Error, Result, codes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prepared {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    #[serde(skip)]
    pub body: Option<Vec<u8>>,
}

/// Builds the request. `arguments` are checked and have their defaults; `boundary` parts a multipart body.
pub fn build(
    definition: &Definition,
    http: &Http,
    arguments: &Map<String, Value>,
    resolve: Resolve<'_>,
    boundary: &str,
) -> Result<Prepared> {
    let filler = Filler { arguments, resolve };
    let mut headers = Vec::new();
    for (name, value) in filler.pairs(&http.headers)? {
        headers.push((name, value));
    }
    let mut cookies: Vec<String> = filler
        .pairs(&http.cookies)?
        .into_iter()
        .map(|(name, value)| format!("{name}={}", percent(&value)))
        .collect();
    let mut query = filler.pairs(&http.query)?;
    for scheme in signing(definition, http, resolve)? {
        match scheme {
            Signed::Header(name, value) => headers.push((name, value)),
            Signed::Query(name, value) => query.push((name, value)),
            Signed::Cookie(name, value) => cookies.push(format!("{name}={}", percent(&value))),
        }
    }
    if !cookies.is_empty() {
        headers.push(("Cookie".into(), cookies.join("; ")));
    }
    let mut body = None;
    if let Some((content_type, bytes)) = filler.body(http.body.as_ref(), boundary)? {
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type".into(), content_type));
        }
        body = Some(bytes);
    }
    for (name, value) in &headers {
        if value.chars().any(char::is_control) {
            let message = format!("the header `{name}` may hold no line breaks and control characters");
            return Err(Error::new(&codes::ARGUMENTS_INVALID, message));
        }
    }
    let mut url = filler.url(definition, http)?;
    if !query.is_empty() {
        let pairs = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let (start, end) = url.split_at(url.find('#').unwrap_or(url.len()));
        url = format!("{start}{}{pairs}{end}", if start.contains('?') { '&' } else { '?' });
    }
    Ok(Prepared { method: http.method.clone(), url, headers, body })
}

struct Filler<'a> {
    arguments: &'a Map<String, Value>,
    resolve: Resolve<'a>,
}

impl Filler<'_> {
    fn url(&self, definition: &Definition, http: &Http) -> Result<String> {
        for name in names(&http.url) {
            let value = self.arguments.get(name).map(plain).unwrap_or_default();
            if matches!(value.as_str(), "" | "." | "..") {
                let message = format!("`{name}` is part of the address and cannot be `{value}`");
                return Err(Error::new(&codes::ARGUMENTS_INVALID, message));
            }
        }
        let filled = fill(&http.url, self.arguments, self.resolve, &percent)?.unwrap_or_default();
        if !filled.starts_with('/') {
            return Ok(filled);
        }
        let base = definition.base.as_deref().unwrap_or_default();
        let base = (self.resolve)(base)?;
        Ok(format!("{}{filled}", base.trim_end_matches('/')))
    }

    /// Fields as names and texts, each as often as its style wants it.
    fn pairs(&self, fields: &[Field]) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        for field in fields {
            if let Some(value) = fill_value(&field.value, self.arguments, self.resolve)? {
                spread(&field.name, &value, field.style, &mut pairs);
            }
        }
        Ok(pairs)
    }

    fn body(&self, body: Option<&Body>, boundary: &str) -> Result<Option<(String, Vec<u8>)>> {
        let of = |content_type: &str, bytes: Vec<u8>| Some((content_type.to_string(), bytes));
        Ok(match body {
            None => None,
            Some(Body::Json(value)) => fill_value(value, self.arguments, self.resolve)?
                .and_then(|value| of("application/json", value.to_string().into_bytes())),
            Some(Body::Form(fields)) => {
                let pairs = self.pairs(fields)?;
                let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                of("application/x-www-form-urlencoded", text.into_bytes())
            }
            Some(Body::Multipart(fields)) => {
                let content_type = format!("multipart/form-data; boundary={boundary}");
                of(&content_type, self.multipart(fields, boundary)?)
            }
            Some(Body::Text { text, content_type }) => {
                fill(text, self.arguments, self.resolve, &str::to_string)?
                    .and_then(|text| of(content_type, text.into_bytes()))
            }
            Some(Body::Binary { argument, content_type }) => match self.arguments.get(argument) {
                Some(value) => of(content_type, decode(argument, &plain(value))?),
                None => None,
            },
        })
    }

    fn multipart(&self, fields: &[Field], boundary: &str) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut part = |name: &str, file: bool, bytes: &[u8]| {
            let name: String = name.chars().filter(|c| !c.is_control() && *c != '"').collect();
            let head = match file {
                true => format!("; filename=\"{name}\"\r\nContent-Type: application/octet-stream"),
                false => String::new(),
            };
            let head =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        };
        for field in fields {
            let Some(value) = fill_value(&field.value, self.arguments, self.resolve)? else { continue };
            if field.style == Style::File {
                part(&field.name, true, &decode(&field.name, &plain(&value))?);
                continue;
            }
            let mut pairs = Vec::new();
            spread(&field.name, &value, field.style, &mut pairs);
            pairs.iter().for_each(|(name, text)| part(name, false, text.as_bytes()));
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Ok(body)
    }
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text.trim()).map_err(|error| {
        Error::new(&codes::ARGUMENTS_INVALID, format!("`{name}` is not Base64")).because(error)
    })
}

fn spread(name: &str, value: &Value, style: Style, pairs: &mut Vec<(String, String)>) {
    let joined = |items: &[Value], by: &str| items.iter().map(plain).collect::<Vec<_>>().join(by);
    let mut put = |name: &str, text: String| pairs.push((name.to_string(), text));
    match (value, style) {
        (Value::Null, _) => {}
        (_, Style::Json) => put(name, value.to_string()),
        (Value::Array(items), Style::Repeat | Style::File | Style::Deep) => {
            items.iter().for_each(|item| put(name, plain(item)));
        }
        (Value::Array(items), Style::Comma) => put(name, joined(items, ",")),
        (Value::Array(items), Style::Space) => put(name, joined(items, " ")),
        (Value::Array(items), Style::Pipe) => put(name, joined(items, "|")),
        (Value::Object(fields), Style::Deep) => {
            fields.iter().for_each(|(key, value)| put(&format!("{name}[{key}]"), plain(value)));
        }
        (Value::Object(fields), Style::Repeat) => {
            fields.iter().for_each(|(key, value)| put(key, plain(value)));
        }
        (Value::Object(fields), _) => {
            let flat = fields.iter().map(|(key, value)| format!("{key},{}", plain(value)));
            put(name, flat.collect::<Vec<_>>().join(","));
        }
        (other, _) => put(name, plain(other)),
    }
}

/// Everything but letters, digits and `-._~` as `%XX`.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

enum Signed {
    Header(String, String),
    Query(String, String),
    Cookie(String, String),
}

/// The first set of schemes whose values are all there; where some set is empty, none is needed.
fn signing(definition: &Definition, http: &Http, resolve: Resolve<'_>) -> Result<Vec<Signed>> {
    let mut missing = None;
    for set in http.auth.iter().filter(|set| !set.is_empty()) {
        let signed: Result<Vec<Signed>> = set.iter().map(|name| sign(definition, name, resolve)).collect();
        match signed {
            Ok(signed) => return Ok(signed),
            Err(error) => _ = missing.get_or_insert(error),
        }
    }
    match missing {
        Some(error) if !http.auth.iter().any(Vec::is_empty) => Err(error),
        _ => Ok(Vec::new()),
    }
}

fn sign(definition: &Definition, name: &str, resolve: Resolve<'_>) -> Result<Signed> {
    let filled = |text: &str| {
        let value = resolve(text)?;
        match value.trim().is_empty() {
            true => Err(Error::new(&codes::SECRET_MISSING, format!("`{text}` is empty"))),
            false => Ok(value),
        }
    };
    Ok(match definition.schemes.get(name) {
        Some(Scheme::Header { name, value }) => Signed::Header(name.clone(), filled(value)?),
        Some(Scheme::Query { name, value }) => Signed::Query(name.clone(), filled(value)?),
        Some(Scheme::Cookie { name, value }) => Signed::Cookie(name.clone(), filled(value)?),
        Some(Scheme::Basic { user, password }) => {
            let pair = STANDARD.encode(format!("{}:{}", filled(user)?, resolve(password)?));
            Signed::Header("Authorization".into(), format!("Basic {pair}"))
        }
        None => {
            return Err(Error::new(
                &codes::SECRET_MISSING,
                format!("`{name}` is a way to sign in that umcp does not know"),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(name: &str, value: Value, style: Style) -> Field {
        Field { name: name.into(), value, style }
    }

    fn http(method: &str, url: &str) -> Http {
        Http { method: method.into(), url: url.into(), ..Http::default() }
    }

    fn made(http: &Http, arguments: Value) -> Result<Prepared> {
        let definition = Definition {
            base: Some("https://api.test/v1/".into()),
            schemes: [
                ("key".to_string(), Scheme::Query { name: "k".into(), value: "${KEY}".into() }),
                ("login".to_string(), Scheme::Basic { user: "u".into(), password: "p".into() }),
                ("none".to_string(), Scheme::Header { name: "X".into(), value: "${NONE}".into() }),
            ]
            .into(),
            ..Definition::default()
        };
        let resolve = |text: &str| match text {
            "${NONE}" => Err(Error::new(&codes::SECRET_MISSING, "NONE is not set")),
            _ => Ok(text.replace("${KEY}", "s&t")),
        };
        build(&definition, http, arguments.as_object().unwrap(), &resolve, "B")
    }

    #[test]
    fn an_argument_stays_in_its_place() {
        let pet = http("GET", "/pets/{{id}}/photos");
        let url = |arguments| made(&pet, arguments).map(|made| made.url);
        assert_eq!(url(json!({"id": 7})).unwrap(), "https://api.test/v1/pets/7/photos");
        assert_eq!(
            url(json!({"id": "../a?b#c@d"})).unwrap(),
            "https://api.test/v1/pets/..%2Fa%3Fb%23c%40d/photos"
        );
        for bad in ["", ".", ".."] {
            assert!(url(json!({"id": bad})).unwrap_err().is(&codes::ARGUMENTS_INVALID), "{bad}");
        }
        let mut header = http("GET", "/");
        header.headers = vec![field("X-Id", json!("{{id}}"), Style::Repeat)];
        assert_eq!(made(&header, json!({})).unwrap().headers, []);
        assert!(made(&header, json!({"id": "a\r\nX: y"})).is_err());
    }

    #[test]
    fn each_style_is_written_its_own_way() {
        for (style, value, expected) in [
            (Style::Repeat, json!(["a", "b c"]), "q=a&q=b+c"),
            (Style::Comma, json!(["a", "b"]), "q=a%2Cb"),
            (Style::Space, json!(["a", "b"]), "q=a+b"),
            (Style::Pipe, json!([1, 2]), "q=1%7C2"),
            (Style::Deep, json!({"x": 1, "y": "z"}), "q%5Bx%5D=1&q%5By%5D=z"),
            (Style::Repeat, json!({"x": 1}), "x=1"),
            (Style::Comma, json!({"x": 1}), "q=x%2C1"),
            (Style::Json, json!({"x": 1}), "q=%7B%22x%22%3A1%7D"),
            (Style::Repeat, json!(true), "q=true"),
        ] {
            let mut search = http("GET", "/s");
            search.query = vec![field("q", json!("{{v}}"), style)];
            assert_eq!(
                made(&search, json!({"v": value})).unwrap().url,
                format!("https://api.test/v1/s?{expected}")
            );
        }
    }

    #[test]
    fn bodies_are_written_by_their_kind() {
        let body = |body: Body, arguments: Value| {
            let mut post = http("POST", "/b");
            post.body = Some(body);
            let made = made(&post, arguments).unwrap();
            let content_type = made.headers.first().map(|(_, value)| value.clone()).unwrap_or_default();
            (content_type, String::from_utf8(made.body.unwrap_or_default()).unwrap())
        };
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        let json_body = Body::Json(json!({"a": "{{a}}", "b": "{{b}}"}));
        assert_eq!(body(json_body, json!({"a": [1]})), pair("application/json", r#"{"a":[1]}"#));
        let form = Body::Form(vec![field("a", json!("{{a}}"), Style::Repeat)]);
        assert_eq!(body(form, json!({"a": "x y"})), pair("application/x-www-form-urlencoded", "a=x+y"));
        let text = Body::Text { text: "<a>{{a}}</a>".into(), content_type: "application/xml".into() };
        assert_eq!(body(text, json!({"a": 1})), pair("application/xml", "<a>1</a>"));
        let binary = Body::Binary { argument: "a".into(), content_type: "image/png".into() };
        assert_eq!(body(binary, json!({"a": "aGk="})), pair("image/png", "hi"));
        let parts = Body::Multipart(vec![
            field("t", json!("{{t}}"), Style::Repeat),
            field("f", json!("{{f}}"), Style::File),
        ]);
        let (content_type, text) = body(parts, json!({"t": "x", "f": "aGk="}));
        assert_eq!(content_type, "multipart/form-data; boundary=B");
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\nx\r\n--B\r\nContent-Disposition: form-data; \
             name=\"f\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\nhi\r\n--B--\r\n"
        );
    }

    #[test]
    fn the_first_way_to_sign_that_has_its_values_is_taken() {
        let signed = |auth: &[&[&str]]| {
            let mut get = http("GET", "/");
            get.auth = auth.iter().map(|set| set.iter().map(ToString::to_string).collect()).collect();
            made(&get, json!({})).map(|made| (made.url, made.headers))
        };
        let plain = "https://api.test/v1/".to_string();
        assert_eq!(signed(&[&["none"], &["key"]]).unwrap(), (format!("{plain}?k=s%26t"), vec![]));
        let basic = vec![("Authorization".to_string(), "Basic dTpw".to_string())];
        assert_eq!(signed(&[&[], &["login"]]).unwrap(), (plain.clone(), basic));
        assert_eq!(signed(&[&["none"], &[]]).unwrap(), (plain, vec![]));
        assert!(signed(&[&["none"]]).unwrap_err().is(&codes::SECRET_MISSING));
        assert!(signed(&[&["unknown"]]).unwrap_err().message.contains("`unknown`"));
    }
}
