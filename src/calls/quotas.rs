//! What quotas count while calls run: a call is reckoned and its place taken before it is made, and what it really used
//! is put in its stead when it ends, however it ends. What is decided stands in the noun `usage`.
//! Rule: whoever has no quotas pays one atomic load for them; no two calls share what is left for one.

use super::{Context, Reply, Subject};
use crate::clock::Timestamp;
use crate::engine::{self, Engine, StoreRequest};
use crate::error::{Error, Result, codes};
use crate::upstream::message::{Answer, member, quote};
use crate::usage::quota::{self, Action, Quota, Standing, Used};
use crate::usage::report::Report;
use crate::usage::sums::Dims;
use crate::usage::user::People;
use crate::usage::{self, Call, Class, Detail, price};
use jiff::tz::TimeZone;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a call beyond a quota that throttles waits at most, all its pauses together.
const PATIENCE_MS: u64 = 30_000;
/// Pauses between calls beyond a quota that throttles, at least and at most.
const PAUSES_MS: (u64, u64) = (500, 10_000);

#[derive(Default)]
pub struct Quotas {
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    meters: Vec<Meter>,
    book: Option<price::Current>,
    people: People,
}

/// One quota, and what is used of it.
struct Meter {
    quota: Quota,
    from: Timestamp,
    until: Timestamp,
    used: Used,
    /// Of calls that run.
    taken: Used,
    /// When the next call may go on that is beyond it.
    next: Timestamp,
}

impl Meter {
    fn new(standing: Standing) -> Self {
        let Standing { quota, from, until, used } = standing;
        Self { quota, from, until, used, taken: Used::default(), next: Timestamp(0) }
    }

    /// Begins anew when the period is over. A clock that goes back gives nothing back.
    fn roll(&mut self, now: Timestamp) {
        if now >= self.until {
            (self.from, self.until) = self.quota.per.around(now, &TimeZone::system());
            self.used = Used::default();
        }
    }

    fn exceeded(&self, known: Used) -> Option<&'static str> {
        self.quota.exceeded(self.used.plus(self.taken), known)
    }

    fn told(&self, what: &str) -> String {
        self.quota.told(what, self.used.plus(self.taken), self.until)
    }

    /// Calls beyond the quota go on as far apart as an even use of it would have them.
    fn pause_ms(&self) -> u64 {
        let length = self.until.since_ms(self.from);
        let even = self.quota.limit.calls.map_or(PAUSES_MS.0, |calls| length / calls.max(1));
        even.clamp(PAUSES_MS.0, PAUSES_MS.1)
    }
}

/// What becomes of a call that asks.
enum Turn {
    Go { names: Vec<String>, warnings: Vec<String>, known: Used },
    Wait { ms: u64, told: String },
    Refused { told: String },
}

impl Quotas {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Takes over the quotas and prices of the store. What is counted of a quota that counts the same goes on.
    pub fn reload(&self, engine: &Engine) -> Result<()> {
        let now = engine.now();
        let request = StoreRequest::Usage(usage::Request::Quota(quota::Request::List { now }));
        let standings = match engine.call(request)? {
            engine::Reply::Usage(usage::Reply::Quotas(standings)) => standings,
            other => return engine::unexpected(&other),
        };
        let (book, people) = engine.store().read(|tx| Ok((price::current(tx)?, People::read(tx)?)))?;
        let mut state = self.state();
        let mut meters: Vec<Meter> = standings.into_iter().map(Meter::new).collect();
        for meter in &mut meters {
            let same = |old: &&Meter| {
                let (old, new) = (&old.quota, &meter.quota);
                old.name == new.name && old.of == new.of && old.per == new.per
            };
            if let Some(old) = state.meters.iter().find(same) {
                (meter.used, meter.taken, meter.next) = (old.used, old.taken, old.next);
                (meter.from, meter.until) = (old.from, old.until);
            }
        }
        self.any.store(!meters.is_empty(), Ordering::Relaxed);
        *state = State { meters, book, people };
        Ok(())
    }

    /// Counts what was reported.
    pub fn report(&self, reports: &[Report], now: Timestamp) {
        if !self.any() {
            return;
        }
        let mut state = self.state();
        for report in reports {
            let Ok((at, mut call)) = report.clone().into_call(now) else { continue };
            state.people.account(&mut call);
            if let Some(book) = &state.book {
                book.complete(at, &mut call);
            }
            let (dims, used) = (Dims::of(&call), Used::of(&call));
            for meter in &mut state.meters {
                meter.roll(now);
                if at >= meter.from && at < meter.until && meter.quota.hits(&dims) {
                    meter.used = meter.used.plus(used);
                }
            }
        }
    }

    /// Waits for a call's turn and takes its place; the error says which quota is used up.
    pub(super) async fn enter<'q>(
        &'q self,
        engine: &'q Engine,
        subject: Subject<'_>,
        arguments: usize,
        context: &Context,
    ) -> Result<Ticket<'q>> {
        let mut call = call_of(subject, arguments, context);
        self.state().people.account(&mut call);
        let dims = Dims::of(&call);
        let mut waited = 0;
        loop {
            match self.turn(&call, &dims, engine.now()) {
                Turn::Go { names, warnings, known } => {
                    return Ok(Ticket { quotas: self, engine, names, warnings, known, call });
                }
                Turn::Wait { ms, .. } if waited + ms <= PATIENCE_MS => {
                    waited += ms;
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                Turn::Wait { told, .. } | Turn::Refused { told } => {
                    return Err(Error::new(&codes::QUOTA_EXCEEDED, told));
                }
            }
        }
    }

    fn turn(&self, call: &Call, dims: &Dims, now: Timestamp) -> Turn {
        let mut state = self.state();
        let cost = state.book.as_ref().map(|book| book.known_before(now, call)).unwrap_or_default();
        let known = Used { calls: 1, tokens: call.tokens(), cost };
        let (mut hit, mut warnings, mut wait) = (Vec::new(), Vec::new(), None);
        for (index, meter) in state.meters.iter_mut().enumerate().filter(|(_, it)| it.quota.hits(dims)) {
            meter.roll(now);
            hit.push(index);
            let Some(what) = meter.exceeded(known) else { continue };
            match meter.quota.action {
                Action::Block => return Turn::Refused { told: meter.told(what) },
                Action::Warn => warnings.push(meter.told(what)),
                Action::Throttle if meter.next > now => {
                    let ms = meter.next.since_ms(now).max(1);
                    wait = wait.max(Some((ms, index, what)));
                }
                Action::Throttle => {}
            }
        }
        if let Some((ms, index, what)) = wait {
            return Turn::Wait { ms, told: state.meters[index].told(what) };
        }
        let mut names = Vec::new();
        for index in hit {
            let meter = &mut state.meters[index];
            if meter.quota.action == Action::Throttle && meter.exceeded(known).is_some() {
                meter.next = now.plus_ms(meter.pause_ms());
            }
            meter.taken = meter.taken.plus(known);
            names.push(meter.quota.name.clone());
        }
        Turn::Go { names, warnings, known }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is made of sums that do not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn call_of(subject: Subject<'_>, arguments: usize, context: &Context) -> Call {
    let mut call = Call {
        client: context.client.to_string(),
        door: context.door,
        profile: context.profile.as_deref().map(Into::into),
        server: subject.upstream.name().into(),
        tool: subject.recorded.into(),
        duration_us: 0,
        request_bytes: arguments as u64,
        result_bytes: 0,
        class: Class::Cancelled,
        error: None,
        cached: false,
        detail: Detail {
            user: context.token.as_ref().map(|pass| pass.name().to_string()),
            ..Detail::default()
        },
    };
    call.attribute();
    call
}

/// A place within the quotas; dropped, it counts what the call really used.
pub(super) struct Ticket<'q> {
    quotas: &'q Quotas,
    engine: &'q Engine,
    names: Vec<String>,
    known: Used,
    /// Quotas that are used up and only warn.
    warnings: Vec<String>,
    /// As far as it is known; completed by whoever ends it.
    pub call: Call,
}

impl Ticket<'_> {
    /// The reply with what is to be said about quotas.
    pub fn marked(&self, reply: Reply) -> Reply {
        if self.warnings.is_empty() || !reply.answer.ok {
            return reply;
        }
        match with_text(reply.answer.text(), &self.warnings.join("\n")) {
            Some(body) => Reply { answer: Answer { ok: true, body: body.into() }, ..reply },
            None => reply,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.quotas.state();
        if let Some(book) = &state.book {
            // By the prices of the moment it ends, as its record.
            book.complete(self.engine.now(), &mut self.call);
        }
        let used = Used::of(&self.call);
        for meter in state.meters.iter_mut().filter(|meter| self.names.contains(&meter.quota.name)) {
            meter.taken = meter.taken.minus(self.known);
            meter.used = meter.used.plus(used);
        }
    }
}

/// A tool's result with one more text at the end of its content; nothing where it has none.
fn with_text(body: &str, text: &str) -> Option<String> {
    let content = member(body.as_bytes(), "content")?;
    let start = content.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    let inner = content.strip_suffix(']')?;
    let comma = if inner.trim_end().ends_with('[') { "" } else { "," };
    let said = quote(&format!("umcp: {text}"));
    let (before, after) = (body.get(..start + inner.len())?, body.get(start + inner.len()..)?);
    Some(format!(r#"{before}{comma}{{"type":"text","text":{said}}}{after}"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::quota::{Limit, Per};
    use crate::usage::sums::Dimension;

    fn meter(action: Action, calls: u64) -> Meter {
        let quota = Quota {
            name: action.word().into(),
            of: [(Dimension::Client, "c".to_string())].into(),
            per: Per::Total,
            limit: Limit { calls: Some(calls), ..Limit::default() },
            action,
            reason: None,
        };
        let (from, until) = (Timestamp(0), Timestamp(u64::MAX));
        Meter::new(Standing { quota, from, until, used: Used::default() })
    }

    fn quotas(meters: Vec<Meter>) -> Quotas {
        Quotas { any: AtomicBool::new(true), state: Mutex::new(State { meters, ..State::default() }) }
    }

    fn call(client: &str) -> Call {
        Call {
            client: client.into(),
            door: usage::Door::Http,
            profile: None,
            server: "s".into(),
            tool: "t".into(),
            duration_us: 0,
            request_bytes: 8,
            result_bytes: 0,
            class: Class::Ok,
            error: None,
            cached: false,
            detail: Detail::default(),
        }
    }

    #[test]
    fn no_two_calls_share_what_is_left_for_one() {
        let quotas = quotas(vec![meter(Action::Block, 100)]);
        let let_in = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let call = call("c");
                        let turn = quotas.turn(&call, &Dims::of(&call), Timestamp(1));
                        let_in.fetch_add(u64::from(matches!(turn, Turn::Go { .. })), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(let_in.into_inner(), 100);
        assert_eq!(quotas.state().meters[0].taken, Used { calls: 100, tokens: 200, ..Used::default() });
        let other = call("d");
        assert!(
            matches!(quotas.turn(&other, &Dims::of(&other), Timestamp(1)), Turn::Go { names, .. } if names.is_empty())
        );
    }

    #[test]
    fn a_quota_warns_or_makes_calls_wait() {
        let quotas = quotas(vec![meter(Action::Warn, 0), meter(Action::Throttle, 1)]);
        let call = call("c");
        let turn = |ms| quotas.turn(&call, &Dims::of(&call), Timestamp::from_millis(ms));
        let went = |turn: Turn| match turn {
            Turn::Go { warnings, .. } => Ok(warnings.len()),
            Turn::Wait { ms, .. } => Err(ms),
            Turn::Refused { told } => panic!("{told}"),
        };
        let pause = PAUSES_MS.1;
        let went = [0, 0, 1, pause, pause + 1].map(|ms| went(turn(ms)));
        assert_eq!(went, [Ok(1), Ok(1), Err(pause - 1), Ok(1), Err(pause - 1)]);
    }

    #[test]
    fn a_result_says_what_is_to_be_said() {
        for (body, expected) in [
            (r#"{"content":[]}"#, Some(r#"{"content":[{"type":"text","text":"umcp: \"x\""}]}"#)),
            (
                r#"{"a":1,"content":[{"type":"text","text":"]"} ],"b":[2]}"#,
                Some(
                    r#"{"a":1,"content":[{"type":"text","text":"]"} ,{"type":"text","text":"umcp: \"x\""}],"b":[2]}"#,
                ),
            ),
            (r#"{"structuredContent":{"content":[]}}"#, None),
            (r#"{"content":"text"}"#, None),
        ] {
            assert_eq!(with_text(body, "\"x\"").as_deref(), expected, "{body}");
        }
    }
}
