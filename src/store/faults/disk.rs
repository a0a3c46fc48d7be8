//! A disk for tests: it remembers what was synced, can lose power at any operation and can run full.

use super::Dice;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a power cut cannot take.
    durable: Vec<u8>,
    /// What the program sees.
    current: Vec<u8>,
    unsynced: Vec<Change>,
    operations: u64,
    fault: Option<Fault>,
}

#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// What goes wrong from the operation with this number on. Writes, length changes and syncs count.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing works any more.
    Power(u64),
    /// This operation fails, the next ones work.
    Once(u64),
    /// Writes and growth fail until the fault is lifted.
    Full(u64),
}

impl Disk {
    pub fn fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        state.fault = fault;
        state.operations = 0;
    }

    /// Writes, length changes and syncs since the last call of `fault`.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    /// The disk after the power came back: each change since the last sync happened, did not, or is torn.
    pub fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let state = self.state();
        let mut bytes = state.durable.clone();
        for change in &state.unsynced {
            match change {
                Change::SetLen(len) if dice.below(2) == 0 => bytes.resize(*len, 0),
                Change::SetLen(_) => {}
                Change::Write(offset, data) => {
                    let fate = dice.below(3);
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        let keep = fate == 0 || (fate == 1 && dice.below(2) == 0);
                        let from = offset + index * SECTOR;
                        if keep && from < bytes.len() {
                            let until = (from + sector.len()).min(bytes.len());
                            bytes[from..until].copy_from_slice(&sector[..until - from]);
                        }
                    }
                }
            }
        }
        let state = State { durable: bytes.clone(), current: bytes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts one operation and decides whether it fails.
    fn step(&self, sync: bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        let number = state.operations;
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let broken = || io::Error::other("input/output error");
        match state.fault {
            Some(Fault::Power(from)) if number >= from => Err(broken()),
            Some(Fault::Once(at)) if number == at => Err(if sync { broken() } else { full() }),
            Some(Fault::Full(from)) if number >= from && !sync => Err(full()),
            _ => Ok(state),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (state, offset) = (self.state(), offset as usize);
        let bytes = state.current.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.step(false)?;
        state.current.resize(len as usize, 0);
        state.unsynced.push(Change::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.step(true)?;
        let State { durable, unsynced, .. } = &mut *state;
        for change in unsynced.drain(..) {
            match change {
                Change::SetLen(len) => durable.resize(len, 0),
                Change::Write(offset, data) => durable[offset..offset + data.len()].copy_from_slice(&data),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut state, offset) = (self.step(false)?, offset as usize);
        let target = state.current.get_mut(offset..offset + data.len());
        target.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        state.unsynced.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}
