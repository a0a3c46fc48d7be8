//! Who is connected to the socket, for as long as it takes.

use super::Jobs;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Counts a connection of the socket as present.
pub struct Present(Arc<Jobs>);

impl Jobs {
    pub fn present(self: &Arc<Self>) -> Present {
        self.present.fetch_add(1, Relaxed);
        Present(self.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Relaxed);
    }
}
