//! Which versions of which skills to install, so that everything fits that they need of each other. Pure.
//! Rule: what is installed and fits stays; else the highest version that fits; the search is bounded.

use super::model::{Need, Offer, Skill, order};
use crate::error::{Error, Result, codes};
use std::collections::BTreeMap;

/// Most choices that are tried.
const MOST: usize = 10_000;

/// A version that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub version: String,
    pub needs: Vec<Need>,
    /// Where it is offered: the registry and its offer; `None` for one that is installed.
    pub offer: Option<(String, Offer)>,
}

/// Everything that may be chosen, by name, the best first.
pub type Candidates = BTreeMap<String, Vec<Candidate>>;

/// What can be had: installed versions, then what registries offer, from the highest version to the lowest.
pub fn candidates(skills: &[Skill], registries: &[super::model::Registry], newest: bool) -> Candidates {
    let mut all = Candidates::new();
    let needs = |words: &[String]| words.iter().filter_map(|word| Need::parse(word).ok()).collect();
    for skill in skills {
        let of_skill = all.entry(skill.name.clone()).or_default();
        for installed in &skill.versions {
            let needs = needs(&installed.needs);
            of_skill.push(Candidate { version: installed.version.clone(), needs, offer: None });
        }
    }
    for registry in registries {
        for offer in &registry.offers {
            let of_skill = all.entry(offer.name.clone()).or_default();
            if of_skill.iter().any(|known| known.version == offer.version) {
                continue;
            }
            let (version, needs) = (offer.version.clone(), needs(&offer.needs));
            of_skill.push(Candidate { version, needs, offer: Some((registry.name.clone(), offer.clone())) });
        }
    }
    for of_skill in all.values_mut() {
        of_skill.sort_by_key(|it| std::cmp::Reverse((!newest && it.offer.is_none(), order(&it.version))));
    }
    all
}

/// One choice for everything that is needed, directly or by what is chosen.
pub fn resolve(candidates: &Candidates, wanted: &[(String, Need)]) -> Result<BTreeMap<String, Candidate>> {
    let mut search = Search { candidates, tried: 0, conflict: None };
    let mut chosen = BTreeMap::new();
    if search.fits(wanted.to_vec(), &mut chosen)? {
        return Ok(chosen);
    }
    Err(search.conflict.unwrap_or_else(|| Error::bug("no conflict was found")))
}

struct Search<'a> {
    candidates: &'a Candidates,
    tried: usize,
    /// The first thing that did not fit, which is what the user can act on.
    conflict: Option<Error>,
}

impl Search<'_> {
    fn fits(
        &mut self,
        mut open: Vec<(String, Need)>,
        chosen: &mut BTreeMap<String, Candidate>,
    ) -> Result<bool> {
        let Some((by, need)) = open.pop() else { return Ok(true) };
        if let Some(candidate) = chosen.get(&need.name) {
            if need.takes(&candidate.version) {
                return self.fits(open, chosen);
            }
            let message =
                format!("{by} needs {need}, and something else asks for {} {}", need.name, candidate.version);
            self.note(Error::new(&codes::SKILL_UNRESOLVED, message));
            return Ok(false);
        }
        let candidates = self.candidates.get(&need.name).map(Vec::as_slice).unwrap_or_default();
        let fitting: Vec<&Candidate> = candidates.iter().filter(|it| need.takes(&it.version)).collect();
        if fitting.is_empty() {
            self.note(missing(&by, &need, candidates));
            return Ok(false);
        }
        for candidate in fitting {
            self.tried += 1;
            if self.tried > MOST {
                let message = format!("no choice of versions was found within {MOST} tries");
                return Err(Error::new(&codes::SKILL_UNRESOLVED, message));
            }
            let mut then = chosen.clone();
            then.insert(need.name.clone(), candidate.clone());
            let from = format!("{} {}", need.name, candidate.version);
            let mut next = open.clone();
            next.extend(candidate.needs.iter().map(|need| (from.clone(), need.clone())));
            if self.fits(next, &mut then)? {
                *chosen = then;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn note(&mut self, error: Error) {
        self.conflict.get_or_insert(error);
    }
}

fn missing(by: &str, need: &Need, candidates: &[Candidate]) -> Error {
    if candidates.is_empty() {
        return Error::new(
            &codes::SKILL_NOT_FOUND,
            format!("{by} needs the skill {need}, which nobody offers"),
        )
        .hint("umcp skill registry refresh")
        .hint(format!("umcp skill search {}", need.name));
    }
    let there: Vec<&str> = candidates.iter().map(|it| it.version.as_str()).collect();
    let message = format!("{by} needs {need}, and there is only {}", there.join(", "));
    Error::new(&codes::SKILL_UNRESOLVED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &str, &[&str])]) -> Candidates {
        let mut all = Candidates::new();
        for (name, version, needs) in rows {
            let needs = needs.iter().map(|need| Need::parse(need).unwrap()).collect();
            let candidate = Candidate { version: version.to_string(), needs, offer: None };
            all.entry(name.to_string()).or_default().push(candidate);
        }
        all
    }

    fn found(all: &Candidates, wanted: &[&str]) -> Result<Vec<String>> {
        let wanted: Vec<(String, Need)> =
            wanted.iter().map(|need| ("you".into(), Need::parse(need).unwrap())).collect();
        let chosen = resolve(all, &wanted)?;
        Ok(chosen.iter().map(|(name, it)| format!("{name} {}", it.version)).collect())
    }

    #[test]
    fn a_choice_that_fits_everything_is_found() {
        let all = table(&[
            ("a", "2.0.0", &["c@^2"]),
            ("a", "1.0.0", &["c@^1"]),
            ("b", "1.0.0", &["c@^1"]),
            ("c", "2.0.0", &[]),
            ("c", "1.5.0", &[]),
        ]);
        assert_eq!(found(&all, &["a"]).unwrap(), ["a 2.0.0", "c 2.0.0"]);
        // The highest `a` does not go with `b`.
        assert_eq!(found(&all, &["a", "b"]).unwrap(), ["a 1.0.0", "b 1.0.0", "c 1.5.0"]);
        let circle = table(&[("a", "1.0.0", &["b"]), ("b", "1.0.0", &["a"])]);
        assert_eq!(found(&circle, &["a"]).unwrap(), ["a 1.0.0", "b 1.0.0"]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let all = table(&[("a", "1.0.0", &["b@^2"]), ("b", "1.0.0", &[]), ("c", "1.0.0", &["gone"])]);
        let told = |wanted: &[&str]| found(&all, wanted).unwrap_err().message;
        assert_eq!(told(&["a"]), "a 1.0.0 needs b@^2, and there is only 1.0.0");
        assert_eq!(told(&["c"]), "c 1.0.0 needs the skill gone, which nobody offers");
    }

    #[test]
    fn a_search_without_an_end_ends() {
        let rows: Vec<(String, String, Vec<String>)> = (0..12)
            .flat_map(|skill| {
                (0..6).map(move |version| {
                    let next = if skill == 11 { "z@^9".into() } else { format!("s{}", skill + 1) };
                    (format!("s{skill}"), format!("1.{version}.0"), vec![next])
                })
            })
            .collect();
        let mut all = Candidates::new();
        for (name, version, needs) in rows {
            let needs = needs.iter().map(|need| Need::parse(need).unwrap()).collect();
            all.entry(name).or_default().push(Candidate { version, needs, offer: None });
        }
        all.insert("z".into(), vec![Candidate { version: "1.0.0".into(), needs: Vec::new(), offer: None }]);
        assert!(found(&all, &["s0"]).unwrap_err().message.contains("within 10000 tries"));
    }
}
