//! A series whose records hold together: each carries the hash of the one before, so that a record that was changed
//! or taken out shows. It knows nothing of what the records say.
//! Rule: records are linked by whoever commits them, in the order of their commits; nobody links ahead.

use super::access::{Reader, Writer};
use super::codec::Row;
use super::tables::Series;
use crate::clock::Timestamp;
use crate::error::{Result, codes};
use crate::ids;
use serde::{Deserialize, Serialize};

/// A SHA-256.
pub type Hash = [u8; 32];

/// One record of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Counts from 1 and leaves nothing out.
    pub number: u64,
    /// Hash of the record before; zeros for the first.
    pub previous: Hash,
    pub hash: Hash,
    /// The record as its noun wrote it.
    pub body: String,
}

impl Row for Link {
    const KIND: u8 = 41;
    const VERSION: u16 = 1;
}

impl Link {
    fn after(before: Option<&Self>, count: u64, body: String) -> Self {
        let (number, previous) = before.map_or((count + 1, Hash::default()), |it| (it.number + 1, it.hash));
        let hash = Self::digest(number, &previous, &body);
        Self { number, previous, hash, body }
    }

    fn digest(number: u64, previous: &Hash, body: &str) -> Hash {
        ids::sha256(&[&number.to_be_bytes(), previous, body.as_bytes()])
    }

    /// Whether the record is what was hashed.
    pub fn is_whole(&self) -> bool {
        self.hash == Self::digest(self.number, &self.previous, &self.body)
    }
}

/// The end of a chain, kept while many records are linked.
pub(super) struct Head {
    link: Option<Link>,
    at: Timestamp,
    count: u64,
}

impl Head {
    /// A last record that cannot be read breaks the chain there, which `verify` tells; it does not stop new ones.
    pub(super) fn read(tx: &Reader, series: &Series<Link>) -> Result<Self> {
        let count = tx.count(series)?;
        match tx.last(series, 1, None, None) {
            Ok(mut last) => {
                let last = last.pop();
                let at = last.as_ref().map_or(Timestamp(0), |(position, _)| position.at);
                Ok(Self { link: last.map(|(_, link)| link), at, count })
            }
            Err(error) if error.is(&codes::STORE_DAMAGED) => Ok(Self { link: None, at: Timestamp(0), count }),
            Err(error) => Err(error),
        }
    }

    /// The next link, and when it stands in the series: never before the one it follows.
    pub(super) fn next(&mut self, at: Timestamp, body: String) -> (Timestamp, &Link) {
        self.at = self.at.max(at);
        let link = Link::after(self.link.as_ref(), self.count, body);
        self.count += 1;
        (self.at, self.link.insert(link))
    }
}

impl Writer {
    /// Adds a record to a chain within this transaction.
    pub fn link(&mut self, series: &Series<Link>, at: Timestamp, body: String) -> Result<u64> {
        let mut head = Head::read(self, series)?;
        let (at, link) = head.next(at, body);
        let (number, link) = (link.number, link.clone());
        self.push(series, at, &link)?;
        Ok(number)
    }
}
