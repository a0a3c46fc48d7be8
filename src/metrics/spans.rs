//! The last spans of traces, in memory: calls and runs of workflows with what belongs together.
//! Rule: a bounded ring, never on disk; of arguments it holds the shape alone.

use super::trace::Mark;
use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Spans kept.
const KEPT: usize = 4_000;
/// Runs under way that are remembered; steps of others have a trace of their own.
const RUNS: usize = 1_000;
/// Bytes of a name that are kept.
const LONGEST: usize = 256;
/// A longer shape is left out.
const SHAPE: usize = 1 << 10;

/// What a span is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Call,
    /// A run of a workflow.
    Run,
}

/// Something that took time, and belongs to a trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Span {
    /// In the order in which spans ended.
    pub number: u64,
    /// Ids in hex.
    pub trace: String,
    pub span: String,
    pub parent: Option<String>,
    pub what: What,
    /// `server.tool`, or the workflow.
    pub name: String,
    pub started: Timestamp,
    pub duration_us: u64,
    /// Of that, what the server took; the rest is waiting for room, for the user, and umcp itself.
    pub server_us: Option<u64>,
    pub client: String,
    pub door: String,
    pub result: String,
    /// `umcp explain CODE` says more.
    pub error: Option<String>,
    /// The run it is, or a step of.
    pub run: Option<String>,
    pub request_bytes: u64,
    pub result_bytes: u64,
    /// What kinds of values the arguments hold, and no value.
    pub arguments: Option<Box<RawValue>>,
}

impl Span {
    pub fn is_failed(&self) -> bool {
        !matches!(self.result.as_str(), "ok" | "completed")
    }
}

/// A run under way.
#[derive(Debug, Clone, Copy)]
struct Begun {
    mark: Mark,
    at: Timestamp,
}

/// See the head of the file.
#[derive(Debug, Default)]
pub struct Spans(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Span>,
    next: u64,
    runs: HashMap<String, (String, Option<Begun>, Option<Mark>)>,
}

/// Which spans are asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ask {
    /// Only those that ended after the one of this number.
    pub after: Option<u64>,
    /// Only those of the trace whose id, or whose run, begins like this.
    pub of: Option<String>,
}

/// The answer: spans in the order in which they ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Told {
    pub spans: Vec<Span>,
    /// To go on after.
    pub last: u64,
}

impl Spans {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever a panic leaves is a ring that can be read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a span; its number is given here.
    pub fn push(&self, mut span: Span) {
        let mut state = self.state();
        state.next += 1;
        span.number = state.next;
        for name in [&mut span.name, &mut span.client] {
            name.truncate(name.floor_char_boundary(LONGEST));
        }
        if span.arguments.as_ref().is_some_and(|shape| shape.get().len() > SHAPE) {
            span.arguments = None;
        }
        if state.ring.len() >= KEPT {
            state.ring.pop_front();
        }
        state.ring.push_back(span);
    }

    /// The run that is about to begin belongs to whoever said this.
    pub fn adopt(&self, run: &str, parent: Mark) {
        let mut state = self.state();
        if state.runs.len() < RUNS {
            state.runs.insert(run.into(), (String::new(), None, Some(parent)));
        }
    }

    /// A run has begun; `above`: the run whose step it is.
    pub fn begin(&self, run: &str, workflow: &str, above: Option<&str>, at: Timestamp) {
        let mut state = self.state();
        let adopted = state.runs.remove(run).and_then(|(_, _, parent)| parent);
        let above = above.and_then(|above| state.runs.get(above)?.1).map(|begun| begun.mark);
        let mark = adopted.or(above).map_or_else(Mark::root, |mark| mark.below());
        if state.runs.len() < RUNS {
            state.runs.insert(run.into(), (workflow.into(), Some(Begun { mark, at }), None));
        }
    }

    /// The span of a step of a run.
    pub fn step(&self, run: &str) -> Mark {
        let begun = self.state().runs.get(run).and_then(|(_, begun, _)| *begun);
        begun.map_or_else(Mark::root, |begun| begun.mark.below())
    }

    /// A run is over.
    pub fn end(&self, run: &str, result: &str, error: Option<String>, at: Timestamp) {
        let Some((workflow, Some(begun), _)) = self.state().runs.remove(run) else { return };
        self.push(Span {
            number: 0,
            what: What::Run,
            name: workflow,
            started: begun.at,
            duration_us: at.0.saturating_sub(begun.at.0),
            server_us: None,
            client: String::new(),
            door: String::new(),
            result: result.into(),
            error,
            run: Some(run.into()),
            request_bytes: 0,
            result_bytes: 0,
            arguments: None,
            ..Span::of(&begun.mark)
        });
    }

    pub fn told(&self, ask: &Ask) -> Told {
        let state = self.state();
        let after = ask.after.unwrap_or(0);
        let begins = |id: &str, of: &str| id.starts_with(of);
        // A run names its trace.
        let trace = ask.of.as_ref().map(|of| {
            let named = |span: &&Span| span.run.as_ref().is_some_and(|run| begins(run, of));
            state.ring.iter().find(named).map_or_else(|| of.clone(), |span| span.trace.clone())
        });
        let wanted = |span: &&Span| {
            span.number > after && trace.as_ref().is_none_or(|trace| begins(&span.trace, trace))
        };
        Told { spans: state.ring.iter().filter(wanted).cloned().collect(), last: state.next }
    }
}

impl Span {
    /// An empty one with these ids.
    pub fn of(mark: &Mark) -> Self {
        Self {
            number: 0,
            trace: format!("{:032x}", mark.trace),
            span: format!("{:016x}", mark.span),
            parent: mark.parent.map(|parent| format!("{parent:016x}")),
            what: What::Call,
            name: String::new(),
            started: Timestamp(0),
            duration_us: 0,
            server_us: None,
            client: String::new(),
            door: String::new(),
            result: String::new(),
            error: None,
            run: None,
            request_bytes: 0,
            result_bytes: 0,
            arguments: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(told: &Told) -> Vec<&str> {
        told.spans.iter().map(|span| span.name.as_str()).collect()
    }

    fn call(spans: &Spans, mark: Mark, name: &str) {
        spans.push(Span { name: name.into(), ..Span::of(&mark) });
    }

    #[test]
    fn a_call_its_run_and_its_steps_are_one_trace() {
        let spans = Spans::default();
        let client = Mark::root();
        spans.adopt("wf_1", client);
        spans.begin("wf_1", "report", None, Timestamp(10));
        let step = spans.step("wf_1");
        call(&spans, step, "git.log");
        spans.begin("wf_2", "child", Some("wf_1"), Timestamp(20));
        call(&spans, spans.step("wf_2"), "git.show");
        spans.end("wf_2", "completed", None, Timestamp(50));
        spans.end("wf_1", "failed", Some("UM1".into()), Timestamp(90));
        call(&spans, client, "workflows.report");
        call(&spans, Mark::root(), "time.now");
        let one = spans.told(&Ask { of: Some("wf_2".into()), after: None });
        assert_eq!(names(&one), ["git.log", "git.show", "child", "report", "workflows.report"]);
        let (run, child) = (&one.spans[3], &one.spans[2]);
        assert_eq!(run.parent.as_deref(), Some(one.spans[4].span.as_str()));
        assert_eq!((&child.parent, &one.spans[0].parent), (&Some(run.span.clone()), &Some(run.span.clone())));
        assert_eq!((run.duration_us, run.is_failed(), child.is_failed()), (80, true, false));
        let rest = spans.told(&Ask { after: Some(one.last - 1), of: None });
        assert_eq!(names(&rest), ["time.now"]);
    }

    #[test]
    fn the_ring_and_the_runs_are_bounded() {
        let spans = Spans::default();
        (0..KEPT + 10).for_each(|number| call(&spans, Mark::root(), &number.to_string()));
        let told = spans.told(&Ask::default());
        assert_eq!(
            (told.spans.len(), told.spans[0].name.as_str(), told.last),
            (KEPT, "10", (KEPT + 10) as u64)
        );
        (0..RUNS + 5).for_each(|number| spans.begin(&number.to_string(), "w", None, Timestamp(0)));
        assert_eq!(spans.state().runs.len(), RUNS);
        assert!(spans.step("unknown").parent.is_none());
        call(&spans, Mark::root(), &"é".repeat(1000));
        assert_eq!(spans.told(&Ask::default()).spans.last().unwrap().name.len(), LONGEST);
        let shape = RawValue::from_string(format!("\"{}\"", "x".repeat(SHAPE))).unwrap();
        spans.push(Span { arguments: Some(shape), ..Span::of(&Mark::root()) });
        assert!(spans.told(&Ask::default()).spans.last().unwrap().arguments.is_none());
    }
}
