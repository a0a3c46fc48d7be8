//! Records as columns and back: who used what, the figures that are summed, and the rest.
//! The three stand apart, so that a question reads no more than it needs. Long because each list of columns is written,
//! read and tested in one place.
//! Rule: what comes back is what went in, to the last field; what cannot be made sense of is nothing, never a guess.

use super::super::money::Pico;
use super::super::record::{Call, Class, Cost, Detail, Door, Entity, Tokens};
use super::pack::{Column, Packer, ROWS, Unpacker};
use crate::clock::Timestamp;
use crate::store::Position;
use std::collections::{BTreeMap, HashMap};

/// The columns of names, in the order in which they stand; the entity's type stands before them.
pub const NAMES: [fn(&Call) -> Option<&str>; 9] = [
    |call| Some(&call.server),
    |call| Some(&call.tool),
    |call| Some(&call.client),
    |call| call.detail.agent.as_deref(),
    |call| call.detail.user.as_deref(),
    |call| call.detail.environment.as_deref(),
    |call| call.detail.model.as_deref(),
    |call| call.detail.workflow.as_deref(),
    |call| call.profile.as_deref(),
];
pub const SERVER: usize = 0;
pub const TOOL: usize = 1;
pub const CLIENT: usize = 2;
pub const AGENT: usize = 3;
pub const USER: usize = 4;
pub const ENVIRONMENT: usize = 5;
pub const MODEL: usize = 6;
pub const WORKFLOW: usize = 7;
pub const PROFILE: usize = 8;

/// The columns of figures. What may be unknown has a column that says whether it is known.
const FIGURES: [fn(&Call) -> u64; 15] = [
    |call| call.duration_us,
    |call| call.request_bytes,
    |call| call.result_bytes,
    |call| call.class as u64 * 2 + u64::from(call.cached),
    |call| u64::from(call.detail.tokens.is_some()),
    |call| call.detail.tokens.unwrap_or_default().input,
    |call| call.detail.tokens.unwrap_or_default().output,
    |call| u64::from(call.detail.api_calls.is_some()),
    |call| call.detail.api_calls.unwrap_or_default(),
    |call| u64::from(call.detail.compute_us.is_some()),
    |call| call.detail.compute_us.unwrap_or_default(),
    |call| call.detail.storage_bytes,
    |call| call.detail.cost.map_or(0, |cost| 1 + u64::from(cost.version.is_some())),
    |call| pico(call) as u64,
    |call| (pico(call) >> 64) as u64,
];

/// With the sign as the lowest bit, so that small numbers stay small.
fn pico(call: &Call) -> u128 {
    let pico = call.detail.cost.map_or(0, |cost| cost.pico.0);
    ((pico << 1) ^ (pico >> 127)) as u128
}

const CLASSES: [Class; 5] = [Class::Ok, Class::ToolError, Class::Error, Class::Cancelled, Class::TimedOut];
const DOORS: [Door; 6] = [Door::Stdio, Door::Http, Door::Cli, Door::Workflow, Door::Schedule, Door::Report];

/// The parts of a block, each of which is a row of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    pub names: Vec<u8>,
    pub figures: Vec<u8>,
    pub rest: Vec<u8>,
}

/// At most [`ROWS`] records, in order, as columns.
pub fn write(records: &[(Position, Call)]) -> Parts {
    let calls = || records.iter().map(|record| &record.1);
    let numbers = |out: &mut Packer, ordered, value: &dyn Fn(&(Position, Call)) -> u64| {
        let mut column = Packer::default();
        column.column(&records.iter().map(value).collect::<Vec<_>>(), ordered);
        out.bytes(&column.0);
    };
    let mut names = Packer::default();
    numbers(&mut names, false, &|record| record.1.detail.entity as u64);
    for name in NAMES {
        names.bytes(&texts(calls().map(name)));
    }
    let mut figures = Packer::default();
    for figure in FIGURES {
        numbers(&mut figures, false, &|record| figure(&record.1));
    }
    let mut rest = Packer::default();
    numbers(&mut rest, true, &|record| record.0.at.0);
    numbers(&mut rest, true, &|record| u64::from(record.0.sequence));
    numbers(&mut rest, false, &|record| record.1.door as u64);
    numbers(&mut rest, true, &|record| record.1.detail.session);
    let version = |call: &Call| call.detail.cost.and_then(|cost| cost.version).unwrap_or(0);
    numbers(&mut rest, false, &|record| u64::from(version(&record.1)));
    rest.bytes(&texts(calls().map(|call| call.error.as_deref())));
    let metrics: Vec<Option<String>> = calls().map(metrics).collect();
    rest.bytes(&texts(metrics.iter().map(Option::as_deref)));
    rest.bytes(&texts(calls().map(|call| call.detail.metadata.as_deref())));
    Parts { names: names.0, figures: figures.0, rest: rest.0 }
}

fn metrics(call: &Call) -> Option<String> {
    let metrics = &call.detail.metrics;
    (!metrics.is_empty()).then(|| serde_json::to_string(metrics).unwrap_or_default())
}

/// The different texts, and which one each row has; 0 stands for none.
fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<u8> {
    let (mut list, mut known) = (Vec::new(), HashMap::new());
    let mut number = |text: &'a str| {
        *known.entry(text).or_insert_with(|| {
            list.push(text);
            list.len() as u64
        })
    };
    let rows: Vec<u64> = values.map(|value| value.map_or(0, &mut number)).collect();
    let mut out = Packer::default();
    out.number(list.len() as u64);
    list.iter().for_each(|text| out.bytes(text.as_bytes()));
    out.column(&rows, false);
    out.0
}

/// A column of texts.
#[derive(Debug)]
pub struct Texts<'a> {
    pub list: Vec<&'a str>,
    /// 0 for none, else one more than the place in the list.
    pub rows: Column<'a>,
}

impl<'a> Texts<'a> {
    fn read(bytes: &'a [u8], rows: usize) -> Option<Self> {
        let mut bytes = Unpacker(bytes);
        let count = bytes.count(rows)?;
        let list = (0..count).map(|_| std::str::from_utf8(bytes.bytes()?).ok()).collect::<Option<_>>()?;
        Some(Self { list, rows: bytes.column(rows)? })
    }

    /// The text of a row, if it has one; nothing when the row names a text that is not there.
    fn get(&self, row: usize) -> Option<Option<&'a str>> {
        match self.rows.get(row) {
            0 => Some(None),
            number => self.list.get(usize::try_from(number - 1).ok()?).copied().map(Some),
        }
    }
}

/// Who used what, read as far as is asked for.
#[derive(Debug)]
pub struct Names<'a> {
    columns: Vec<&'a [u8]>,
    rows: usize,
}

impl<'a> Names<'a> {
    pub fn read(bytes: &'a [u8], rows: usize) -> Option<Self> {
        Some(Self { columns: slices(bytes, 1 + NAMES.len())?, rows })
    }

    pub fn entity(&self) -> Option<Column<'a>> {
        Unpacker(self.columns[0]).column(self.rows)
    }

    pub fn texts(&self, column: usize) -> Option<Texts<'a>> {
        Texts::read(self.columns[1 + column], self.rows)
    }
}

fn slices(bytes: &[u8], count: usize) -> Option<Vec<&[u8]>> {
    let mut bytes = Unpacker(bytes);
    (0..count).map(|_| bytes.bytes()).collect()
}

/// The figures that are summed.
#[derive(Debug)]
pub struct Figures<'a>(Vec<Column<'a>>);

impl<'a> Figures<'a> {
    pub fn read(bytes: &'a [u8], rows: usize) -> Option<Self> {
        slices(bytes, FIGURES.len())?
            .into_iter()
            .map(|column| Unpacker(column).column(rows))
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Puts the figures of a row into a record. The version of the prices is none of them.
    pub fn fill(&self, row: usize, call: &mut Call) -> Option<()> {
        let get = |figure: usize| self.0[figure].get(row);
        call.duration_us = get(0);
        call.request_bytes = get(1);
        call.result_bytes = get(2);
        call.class = *CLASSES.get(usize::try_from(get(3) / 2).ok()?)?;
        call.cached = get(3) % 2 == 1;
        call.detail.tokens = (get(4) == 1).then(|| Tokens { input: get(5), output: get(6) });
        call.detail.api_calls = (get(7) == 1).then(|| get(8));
        call.detail.compute_us = (get(9) == 1).then(|| get(10));
        call.detail.storage_bytes = get(11);
        call.detail.cost = (get(12) > 0).then(|| {
            let pico = u128::from(get(13)) | (u128::from(get(14)) << 64);
            let pico = (pico >> 1) as i128 ^ -((pico & 1) as i128);
            Cost { pico: Pico(pico), version: (get(12) == 2).then_some(0) }
        });
        Some(())
    }
}

/// A record of which nothing is known.
pub fn blank() -> Call {
    Call {
        client: String::new(),
        door: Door::Report,
        profile: None,
        server: String::new(),
        tool: String::new(),
        duration_us: 0,
        request_bytes: 0,
        result_bytes: 0,
        class: Class::Ok,
        error: None,
        cached: false,
        detail: Detail::default(),
    }
}

/// A block of records that is read row by row.
pub struct Records<'a> {
    rows: usize,
    entity: Column<'a>,
    names: Vec<Texts<'a>>,
    figures: Figures<'a>,
    /// Time, sequence, door, session and version of the prices.
    numbers: Vec<Column<'a>>,
    /// Error, metrics and metadata.
    texts: Vec<Texts<'a>>,
}

impl<'a> Records<'a> {
    pub fn read(parts: &'a Parts, rows: usize) -> Option<Self> {
        if rows > ROWS {
            return None;
        }
        let names = Names::read(&parts.names, rows)?;
        let rest = slices(&parts.rest, 8)?;
        Some(Self {
            rows,
            entity: names.entity()?,
            names: (0..NAMES.len()).map(|column| names.texts(column)).collect::<Option<_>>()?,
            figures: Figures::read(&parts.figures, rows)?,
            numbers: rest[..5].iter().map(|column| Unpacker(column).column(rows)).collect::<Option<_>>()?,
            texts: rest[5..].iter().map(|column| Texts::read(column, rows)).collect::<Option<_>>()?,
        })
    }

    pub fn count(&self) -> usize {
        self.rows
    }

    pub fn position(&self, row: usize) -> Position {
        let sequence = u32::try_from(self.numbers[1].get(row)).unwrap_or(u32::MAX);
        Position { at: Timestamp(self.numbers[0].get(row)), sequence }
    }

    /// One record; nothing where it makes no sense.
    pub fn get(&self, row: usize) -> Option<(Position, Call)> {
        let name = |column: usize| self.names[column].get(row).map(|text| text.map(String::from));
        let metrics = match self.texts[1].get(row)? {
            Some(json) => serde_json::from_str(json).ok()?,
            None => BTreeMap::new(),
        };
        let mut call = Call {
            client: name(CLIENT)??,
            door: *DOORS.get(usize::try_from(self.numbers[2].get(row)).ok()?)?,
            profile: name(PROFILE)?,
            server: name(SERVER)??,
            tool: name(TOOL)??,
            error: self.texts[0].get(row)?.map(String::from),
            detail: Detail {
                entity: *Entity::ALL.get(usize::try_from(self.entity.get(row)).ok()?)?,
                session: self.numbers[3].get(row),
                user: name(USER)?,
                agent: name(AGENT)?,
                workflow: name(WORKFLOW)?,
                environment: name(ENVIRONMENT)?,
                model: name(MODEL)?,
                metrics,
                metadata: self.texts[2].get(row)?.map(String::from),
                ..Detail::default()
            },
            ..blank()
        };
        self.figures.fill(row, &mut call)?;
        if let Some(version) = call.detail.cost.as_mut().and_then(|cost| cost.version.as_mut()) {
            *version = u32::try_from(self.numbers[4].get(row)).ok()?;
        }
        Some((self.position(row), call))
    }

    /// Server and tool of a row that is a relayed call of a tool, and whether it failed; the outer nothing is damage.
    pub fn called(&self, row: usize) -> Option<Option<(&'a str, &'a str, bool)>> {
        if self.entity.get(row) != Entity::Tool as u64 || self.numbers[2].get(row) == Door::Report as u64 {
            return Some(None);
        }
        let (server, tool) = (self.names[SERVER].get(row)??, self.names[TOOL].get(row)??);
        Some(Some((server, tool, self.figures.0[3].get(row) / 2 != Class::Ok as u64)))
    }

    /// All records; nothing where one makes no sense.
    pub fn all(&self) -> Option<Vec<(Position, Call)>> {
        (0..self.rows).map(|row| self.get(row)).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::{Just, any, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::{BoxedStrategy, Strategy};

    fn text() -> impl Strategy<Value = Option<String>> {
        prop_oneof![Just(None), "[a-c]{0,2}".prop_map(Some), "\\PC{0,20}".prop_map(Some)]
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..10, any::<u64>(), Just(u64::MAX)]
    }

    fn maybe() -> impl Strategy<Value = Option<u64>> {
        proptest::option::of(number())
    }

    fn detail() -> impl Strategy<Value = Detail> {
        let cost = (any::<i128>(), proptest::option::of(any::<u32>()))
            .prop_map(|(pico, version)| Cost { pico: Pico(pico), version });
        let tokens = (number(), number()).prop_map(|(input, output)| Tokens { input, output });
        let metrics = proptest::collection::btree_map("\\PC{0,5}", any::<i64>(), 0..3);
        let texts = (text(), text(), text(), text(), text(), text());
        let numbers = (number(), maybe(), maybe(), number(), proptest::option::of(tokens));
        (texts, numbers, proptest::option::of(cost), metrics, 0usize..6).prop_map(
            |(texts, numbers, cost, metrics, entity)| Detail {
                entity: Entity::ALL[entity],
                session: numbers.0,
                user: texts.0,
                agent: texts.1,
                workflow: texts.2,
                environment: texts.3,
                model: texts.4,
                tokens: numbers.4,
                api_calls: numbers.1,
                compute_us: numbers.2,
                storage_bytes: numbers.3,
                cost,
                metrics,
                metadata: texts.5,
            },
        )
    }

    /// Any record at all.
    pub fn any_call() -> BoxedStrategy<Call> {
        let texts = (text(), text(), text(), text(), text());
        let numbers = (number(), number(), number(), 0usize..5, 0usize..6, any::<bool>());
        (texts, numbers, detail())
            .prop_map(|(texts, numbers, detail)| Call {
                client: texts.0.unwrap_or_default(),
                door: DOORS[numbers.4],
                profile: texts.1,
                server: texts.2.unwrap_or_default(),
                tool: texts.3.unwrap_or_default(),
                duration_us: numbers.0,
                request_bytes: numbers.1,
                result_bytes: numbers.2,
                class: CLASSES[numbers.3],
                error: texts.4,
                cached: numbers.5,
                detail,
            })
            .boxed()
    }

    proptest! {
        #[test]
        fn records_come_back(
            records in proptest::collection::vec((any::<(u64, u32)>(), any_call()), 1..60),
            at: usize,
            byte: u8,
        ) {
            let mut records: Vec<(Position, Call)> = records
                .into_iter()
                .map(|((at, sequence), call)| (Position { at: Timestamp(at), sequence }, call))
                .collect();
            records.sort_by_key(|record| record.0);
            let mut parts = write(&records);
            let read = Records::read(&parts, records.len()).unwrap();
            prop_assert_eq!(read.all().unwrap(), records.clone());
            // Bytes that are not ours are no reason to fall over.
            for part in [&mut parts.names, &mut parts.figures, &mut parts.rest] {
                let length = part.len();
                part[at % length] = byte;
            }
            let _ = Records::read(&parts, records.len()).map(|read| read.all());
            let _ = Records::read(&parts, records.len() + 1).map(|read| read.all());
        }
    }

    #[test]
    fn every_class_door_and_type_has_its_number() {
        let class = |class: &Class| CLASSES[*class as usize] == *class;
        let door = |door: &Door| DOORS[*door as usize] == *door;
        let entity = |entity: &Entity| Entity::ALL[*entity as usize] == *entity;
        assert!(CLASSES.iter().all(class) && DOORS.iter().all(door) && Entity::ALL.iter().all(entity));
    }
}
