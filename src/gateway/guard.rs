//! A bug while one request is answered costs that request: whoever asked is told, and the daemon lives on. What
//! panicked and where stands in the daemon's log, which the panic itself writes.

use crate::error::{Error, Result};
use futures_util::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;

/// The outcome of some work; a panic in it is an error. No lock of ours is left unusable by that.
pub fn caught<T>(what: &str, work: impl Future<Output = T>) -> impl Future<Output = Result<T>> {
    // Not `async`: such a function would hold the work twice, as its argument and as what it waits for.
    AssertUnwindSafe(work).catch_unwind().map(move |outcome| {
        outcome.map_err(|panic| {
            let error = Error::bug(format!("a panic while `{what}` was answered"));
            error.because(words(&*panic)).hint("umcp gateway logs")
        })
    })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes;

    #[test]
    fn a_panic_is_an_error_of_its_own_request() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(caught("ping", async { 7 }).await.unwrap(), 7);
            let lost = caught::<()>("tools/call", async {
                tokio::task::yield_now().await;
                panic!("something is not there")
            });
            let error = lost.await.unwrap_err();
            assert!(error.is(&codes::BUG), "{error:?}");
            let told = format!("{error:?}");
            assert!(told.contains("tools/call") && told.contains("something is not there"), "{told}");
        });
    }
}
