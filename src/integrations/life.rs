//! The life of a token, as decisions: when it is refreshed, what its state is called, what looks odd about it.
//! No clock, no randomness, no network: times and shares come in as arguments.

use super::model::{Connection, Standing};
use crate::clock::Timestamp;

/// A token is refreshed when this share of its life is over.
const REFRESH_AT: f64 = 0.8;
/// Taken off the moment of refresh, so that many connections do not come at once.
const SPREAD: f64 = 0.1;
/// A token with less than this left is not used any more without a refresh.
const MARGIN_MS: u64 = 2_000;
/// A warning comes this long before the end of a token nobody can refresh.
const WARN_MS: u64 = 24 * 3600 * 1000;
/// A refresh that failed is not tried again before this, as long as the token still works.
pub const RETRY_MS: u64 = 30_000;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// When a token should be refreshed: at 80 % of its life, up to a tenth of it earlier.
/// `share` is random, between 0 and 1. A token without an end never is.
pub fn refresh_at(obtained: Timestamp, expires: Option<Timestamp>, share: f64) -> Option<Timestamp> {
    let life = expires?.since_ms(obtained) as f64;
    let at = life * (REFRESH_AT - SPREAD * share.clamp(0.0, 1.0));
    Some(obtained.plus_ms(at as u64))
}

/// Whether a token must not be sent any more.
pub fn is_over(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_some_and(|expires| now.plus_ms(MARGIN_MS) >= expires)
}

/// What a connection is like now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Ready,
    /// Its token ends soon and nothing can renew it.
    Expiring,
    /// Its token has ended; the next use renews it.
    Renewable,
    /// Its token has ended for good.
    Expired,
    NeedsSignIn,
    Revoked,
}

impl Health {
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Expiring => "expiring",
            Self::Renewable => "renewable",
            Self::Expired => "expired",
            Self::NeedsSignIn => "needs sign-in",
            Self::Revoked => "revoked",
        }
    }

    /// Whether a person should do something.
    pub fn is_warning(self) -> bool {
        matches!(self, Self::Expiring | Self::Expired | Self::NeedsSignIn)
    }
}

pub fn health(connection: &Connection, now: Timestamp) -> Health {
    let over = is_over(connection.expires, now);
    let soon = connection.expires.is_some_and(|expires| expires.since_ms(now) < WARN_MS);
    match connection.standing {
        Standing::Revoked => Health::Revoked,
        Standing::NeedsSignIn => Health::NeedsSignIn,
        Standing::Ready if connection.refreshable && over => Health::Renewable,
        Standing::Ready if connection.refreshable => Health::Ready,
        Standing::Ready if over => Health::Expired,
        // A token made to live an hour is always near its end; only longer ones are worth a word.
        Standing::Ready
            if soon && connection.expires.is_some_and(|end| end.since_ms(connection.obtained) > WARN_MS) =>
        {
            Health::Expiring
        }
        Standing::Ready => Health::Ready,
    }
}

/// Whether nobody has used a connection for so many days.
pub fn is_stale(connection: &Connection, days: u64, now: Timestamp) -> bool {
    now.since_ms(connection.last_used.unwrap_or(connection.created)) >= days.saturating_mul(DAY_MS)
}

/// What looks odd about a connection, in words; empty when nothing does.
pub fn oddities(connection: &Connection, now: Timestamp) -> Vec<String> {
    let mut odd = Vec::new();
    let days = now.since_ms(connection.created) / DAY_MS + 1;
    if connection.refreshes / days > 1000 {
        odd.push(format!("refreshed {} times in {days} days", connection.refreshes));
    }
    if connection.failures >= 5 {
        odd.push(format!("{} refreshes in a row failed", connection.failures));
    }
    if connection.stepped_up >= 2 {
        odd.push("asked again and again for more rights".into());
    }
    if connection.obtained > now.plus_ms(60_000) {
        odd.push("signed in at a time that has yet to come: the clock went back".into());
    }
    odd
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::model::{ClientAuth, Endpoints, Grant, KeyPlace, Kind, Target};
    use super::*;

    pub fn connection(name: &str) -> Connection {
        Connection {
            id: format!("con_{name}"),
            name: name.into(),
            target: Target::Integration("int_1".into()),
            user: None,
            chosen: false,
            profiles: Vec::new(),
            directories: Vec::new(),
            kind: Kind::Oauth2,
            grant: Grant::Code,
            standing: Standing::Ready,
            endpoints: Endpoints::default(),
            client_id: None,
            client_auth: ClientAuth::None,
            resource: None,
            key_place: KeyPlace::default(),
            scopes: Vec::new(),
            wanted: Vec::new(),
            stepped_up: 0,
            obtained: Timestamp(0),
            expires: None,
            refreshable: false,
            last_used: None,
            refreshes: 0,
            failures: 0,
            last_error: None,
            created: Timestamp(0),
        }
    }

    #[test]
    fn tokens_are_refreshed_at_four_fifths_of_their_life() {
        let second = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        for (life, share, expected) in
            [(100, 0.0, 80), (100, 1.0, 70), (100, 0.5, 75), (3600, 0.0, 2880), (100, 7.0, 70)]
        {
            let at = refresh_at(second(1000), Some(second(1000 + life)), share);
            assert_eq!(at, Some(second(1000 + expected)), "{life} {share}");
        }
        assert_eq!(refresh_at(second(0), None, 0.5), None);
        assert_eq!(refresh_at(second(9), Some(second(1)), 0.5), Some(second(9)));
        assert!(is_over(Some(second(10)), second(9)) && !is_over(Some(second(10)), second(5)));
        assert!(!is_over(None, second(u64::from(u32::MAX))));
    }

    #[test]
    fn health_has_one_word_for_each_case() {
        let hour = |hours: u64| Timestamp::from_millis(hours * 3_600_000);
        let now = hour(100);
        for (standing, refreshable, obtained, expires, expected) in [
            (Standing::Ready, true, 90, Some(200), Health::Ready),
            (Standing::Ready, true, 90, Some(99), Health::Renewable),
            (Standing::Ready, false, 90, None, Health::Ready),
            (Standing::Ready, false, 90, Some(99), Health::Expired),
            (Standing::Ready, false, 50, Some(110), Health::Expiring),
            (Standing::Ready, false, 99, Some(101), Health::Ready),
            (Standing::NeedsSignIn, true, 90, Some(200), Health::NeedsSignIn),
            (Standing::Revoked, true, 90, Some(200), Health::Revoked),
        ] {
            let connection = Connection {
                standing,
                refreshable,
                obtained: hour(obtained),
                expires: expires.map(hour),
                ..connection("a")
            };
            assert_eq!(health(&connection, now), expected, "{standing:?} {obtained} {expires:?}");
        }
    }

    #[test]
    fn disuse_and_oddities_are_told() {
        let day = |days: u64| Timestamp::from_millis(days * DAY_MS);
        let mut connection = connection("a");
        assert!(is_stale(&connection, 30, day(30)) && !is_stale(&connection, 30, day(29)));
        connection.last_used = Some(day(20));
        assert!(!is_stale(&connection, 30, day(49)));
        assert!(oddities(&connection, day(1)).is_empty());
        connection.failures = 5;
        connection.stepped_up = 3;
        connection.obtained = day(2);
        connection.refreshes = 5000;
        assert_eq!(oddities(&connection, day(1)).len(), 4);
    }
}
