//! `index.json`, the list of a registry: every version of every skill with the digest of its bundle. Pure.
//! Rule: what is not as it should be is left out and named; it costs the rest nothing.

use super::is_name;
use super::model::{Need, Offer, order};
use super::tidy;
use crate::error::{Error, Result, codes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The list's file, at the root of a registry.
pub const FILE: &str = "index.json";
const FORMAT: u64 = 1;
/// Most versions of all skills of one registry, and largest list in bytes.
const MOST: usize = 20_000;
pub const MAX_BYTES: usize = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Index {
    format: u64,
    skills: Vec<Offer>,
}

/// The offers of a list, and why others were left out.
pub fn read(text: &str) -> Result<(Vec<Offer>, Vec<String>)> {
    let invalid = |why: &str| Error::new(&codes::REGISTRY_INVALID, format!("`{FILE}` of the registry {why}"));
    if text.len() > MAX_BYTES {
        return Err(invalid("is larger than 16 MiB"));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| invalid("is no JSON").because(error))?;
    if value["format"].as_u64() != Some(FORMAT) {
        return Err(invalid("is of a format that this umcp does not know"));
    }
    let items = value["skills"].as_array().ok_or_else(|| invalid("has no list `skills`"))?;
    if items.len() > MOST {
        return Err(invalid("names more than 20,000 versions"));
    }
    let (mut offers, mut remarks) = (Vec::<Offer>::new(), Vec::new());
    for item in items {
        match offer(item) {
            Ok(offer) if offers.iter().any(|it| it.name == offer.name && it.version == offer.version) => {
                remarks.push(format!("{} {} is listed twice", offer.name, offer.version));
            }
            Ok(offer) => offers.push(offer),
            Err(why) => remarks.push(why),
        }
    }
    Ok((offers, remarks))
}

fn offer(item: &Value) -> Result<Offer, String> {
    let mut offer: Offer =
        serde_json::from_value(item.clone()).map_err(|error| format!("an entry is none: {error}"))?;
    let name = offer.name.escape_debug().to_string();
    if !is_name(&offer.name) {
        return Err(format!("`{name}` is no name of a skill"));
    }
    if semver::Version::parse(&offer.version).is_err() {
        return Err(format!("{name} has the version `{}`, which is none", offer.version.escape_debug()));
    }
    crate::archive::check_name(&offer.path)
        .map_err(|_| format!("{name} lies at a path that leads elsewhere"))?;
    let is_digest =
        offer.sha256.len() == 64 && offer.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    if !is_digest {
        return Err(format!("{name} {} comes without a digest", offer.version));
    }
    if let Some(need) = offer.needs.iter().find(|need| Need::parse(need).is_err()) {
        return Err(format!("{name} needs `{}`, which is no skill", need.escape_debug()));
    }
    offer.description = tidy(&offer.description).chars().take(1024).collect();
    offer.author = tidy(&offer.author).chars().take(200).collect();
    offer.tags = offer.tags.iter().take(50).map(|tag| tidy(tag)).collect();
    Ok(offer)
}

/// A list with one more version, in order. A version that is there already with another digest is refused.
pub fn with(text: Option<&str>, new: Offer) -> Result<String> {
    let mut skills = match text {
        Some(text) => read(text)?.0,
        None => Vec::new(),
    };
    if let Some(there) = skills.iter().find(|it| it.name == new.name && it.version == new.version) {
        if there.sha256 == new.sha256 {
            skills.retain(|it| it.name != new.name || it.version != new.version);
        } else {
            let message = format!("the registry has {} {} with other content", new.name, new.version);
            return Err(Error::new(&codes::SKILL_EXISTS, message)
                .hint("a version that is published stays as it is: publish a higher one"));
        }
    }
    skills.push(new);
    skills.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| order(&a.version).cmp(&order(&b.version))));
    let text = serde_json::to_string_pretty(&Index { format: FORMAT, skills })
        .map_err(|error| Error::bug("an index has only text keys").because(error))?;
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample(name: &str, version: &str, digest: char) -> Offer {
        Offer {
            name: name.into(),
            version: version.into(),
            path: format!("{name}-{version}.zip"),
            sha256: digest.to_string().repeat(64),
            ..Offer::default()
        }
    }

    #[test]
    fn what_is_published_is_read_again_in_order() {
        let one = with(None, sample("b", "1.10.0", 'a')).unwrap();
        let two = with(Some(&one), sample("b", "1.9.0", 'b')).unwrap();
        let three = with(Some(&two), sample("a", "1.0.0", 'c')).unwrap();
        assert_eq!(three, with(Some(&three), sample("b", "1.9.0", 'b')).unwrap());
        let (offers, remarks) = read(&three).unwrap();
        let seen: Vec<String> = offers.iter().map(|it| format!("{} {}", it.name, it.version)).collect();
        assert_eq!(
            (seen, remarks),
            (vec!["a 1.0.0".into(), "b 1.9.0".into(), "b 1.10.0".into()], Vec::new())
        );
        let error = with(Some(&three), sample("b", "1.9.0", 'd')).unwrap_err();
        assert_eq!(error.code.code, codes::SKILL_EXISTS.code);
    }

    #[test]
    fn entries_that_lie_are_left_out() {
        let good = serde_json::to_value(sample("good", "1.0.0", 'a')).unwrap();
        let changed = |key: &str, value: Value| {
            let mut item = good.clone();
            item[key] = value;
            item
        };
        let list = json!({"format": 1, "skills": [
            good.clone(),
            good.clone(),
            changed("name", json!("../evil")),
            changed("version", json!("latest")),
            changed("path", json!("../../etc/passwd")),
            changed("path", json!("https://elsewhere.example/x.zip")),
            changed("sha256", json!("")),
            changed("needs", json!(["A B"])),
            json!({"name": 1}),
        ]});
        let (offers, remarks) = read(&list.to_string()).unwrap();
        assert_eq!(offers.len(), 1);
        assert_eq!(remarks.len(), 8, "{remarks:#?}");
        for bad in ["[]", "{}", "{\"format\":2,\"skills\":[]}", "{\"format\":1}", "not"] {
            assert_eq!(read(bad).unwrap_err().code.code, codes::REGISTRY_INVALID.code, "{bad}");
        }
    }
}
