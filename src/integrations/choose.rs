//! Which account is used where several fit. Pure: what is known of the caller comes in.
//! The order: named in the request, then bound to the profile, then to the nearest directory, then the default,
//! then the only one there is.

use super::model::{Connection, Standing, Target};

/// What is known of whoever needs an account.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    pub named: Option<&'a str>,
    pub profile: Option<&'a str>,
    pub directory: Option<&'a str>,
}

/// The account of `target` for this place. `None`: none fits, or several fit equally.
pub fn choose<'a>(all: &'a [Connection], target: &Target, place: Place<'_>) -> Option<&'a Connection> {
    let fitting = || {
        all.iter()
            .filter(|connection| connection.target == *target && connection.standing != Standing::Revoked)
    };
    if let Some(named) = place.named {
        return fitting().find(|connection| connection.name == named || connection.id == named);
    }
    let by_profile = |connection: &&Connection| {
        place.profile.is_some_and(|profile| connection.profiles.iter().any(|bound| bound == profile))
    };
    let depth = |connection: &&Connection| {
        let inside = |bound: &&String| place.directory.is_some_and(|directory| is_below(directory, bound));
        connection.directories.iter().filter(inside).map(|bound| bound.trim_end_matches('/').len() + 1).max()
    };
    let mut only = fitting();
    fitting()
        .find(by_profile)
        .or_else(|| fitting().filter(|one| depth(one).is_some()).max_by_key(depth))
        .or_else(|| fitting().find(|connection| connection.chosen))
        .or_else(|| only.next().filter(|_| only.next().is_none()))
}

fn is_below(directory: &str, bound: &str) -> bool {
    let rest = directory.strip_prefix(bound.trim_end_matches(['/', '\\']));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
}

#[cfg(test)]
mod tests {
    use super::super::life::tests::connection;
    use super::*;

    #[test]
    fn the_nearest_choice_counts() {
        let target = Target::Integration("int_1".into());
        let mut home = connection("home");
        home.chosen = true;
        let mut work = connection("work");
        work.profiles = vec!["office".into()];
        work.directories = vec!["/src".into()];
        let mut client = connection("client");
        client.directories = vec!["/src/client/".into()];
        let mut gone = connection("gone");
        gone.standing = Standing::Revoked;
        let all = [home, work, client, gone];
        for (place, expected) in [
            (Place::default(), Some("home")),
            (Place { named: Some("work"), ..Place::default() }, Some("work")),
            (Place { named: Some("none"), ..Place::default() }, None),
            (Place { named: Some("gone"), ..Place::default() }, None),
            (
                Place { profile: Some("office"), directory: Some("/src/client"), ..Place::default() },
                Some("work"),
            ),
            (Place { directory: Some("/src/client/a"), ..Place::default() }, Some("client")),
            (Place { directory: Some("/src/clients"), ..Place::default() }, Some("work")),
            (Place { directory: Some("/srcs"), ..Place::default() }, Some("home")),
        ] {
            let found = choose(&all, &target, place).map(|connection| connection.name.as_str());
            assert_eq!(found, expected, "{place:?}");
        }
        let other = Target::Server("int_1".into());
        assert_eq!(choose(&all, &other, Place::default()), None);
        assert_eq!(choose(&all[1..2], &target, Place::default()).map(|one| one.name.as_str()), Some("work"));
        assert_eq!(choose(&all[1..3], &target, Place::default()), None);
    }
}
