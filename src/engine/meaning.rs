//! Meaning for memories: the one that makes vectors is handed in, questions get theirs before they reach the store,
//! and what has none yet gets it beside the calls. Rule: nothing waits for a vector, and nothing fails for want of one.

use super::{Engine, Reply, StoreRequest, unexpected};
use crate::embedding::{self, Encoder};
use crate::error::Result;
use crate::ids;
use crate::memory::model::Who;
use crate::memory::vectors::{Kept, Made, Vector};
use crate::memory::{self, Ask, Request};
use std::sync::Arc;

/// Memories that get their vectors in one commit.
const BATCH: u32 = 32;

/// What makes vectors of texts.
#[derive(Clone)]
pub struct Meaning {
    /// Which model; vectors of another are made again.
    pub model: String,
    pub encode: Arc<dyn Fn(&str) -> Vector + Send + Sync>,
}

impl Meaning {
    /// The model that is part of the program, where it was built with one.
    pub fn built_in() -> Option<Self> {
        let encoder = Encoder::built_in()?;
        let encode = move |text: &str| {
            Vector::from_row(&embedding::Vector::quantize(&encoder.encode(text)).to_bytes())
        };
        Some(Self { model: ids::hex(&encoder.digest()[..8]), encode: Arc::new(encode) })
    }
}

impl Engine {
    /// Lets searches of memories go by meaning too, where there is something that knows it.
    #[must_use]
    pub fn with_meaning(mut self, meaning: Option<Meaning>) -> Self {
        self.meaning = meaning;
        self
    }

    /// The request with what only a model can add to it.
    pub(super) fn understood(&self, request: StoreRequest) -> StoreRequest {
        let Some(meaning) = &self.meaning else { return request };
        let StoreRequest::Memory(mut request) = request else { return request };
        match &mut request.ask {
            // A question costs some milliseconds, for nothing where no memory has a vector.
            Ask::Search(search) | Ask::Answer(search) | Ask::Context { search, .. }
                if search.vector.is_none() && self.store.read(memory::has_vectors).unwrap_or(false) =>
            {
                search.vector = Some((meaning.model.clone(), (meaning.encode)(&search.question)));
            }
            Ask::Consolidate { model, .. } if model.is_none() => *model = Some(meaning.model.clone()),
            _ => {}
        }
        StoreRequest::Memory(request)
    }

    /// Makes some of the vectors that are missing, of memories above the number `after`, in one commit; the last number
    /// where there may be more. Takes its time: not for the runtime.
    pub fn make_vectors(&self, after: u32) -> Result<Option<u32>> {
        let Some(meaning) = &self.meaning else { return Ok(None) };
        let pending = Ask::Pending { model: meaning.model.clone(), after, limit: BATCH };
        let memory::Reply::Memories(found, _) = self.remember(pending)? else { return Ok(None) };
        let Some(last) = found.last().map(|memory| memory.number) else { return Ok(None) };
        let vectors = found.iter().map(|memory| Made {
            number: memory.number,
            updated: memory.updated,
            kept: Kept { model: meaning.model.clone(), vector: (meaning.encode)(&memory.searched()) },
        });
        self.remember(Ask::PutVectors(vectors.collect()))?;
        Ok(Some(last))
    }

    fn remember(&self, ask: Ask) -> Result<memory::Reply> {
        let request = Request::new(Who::default(), self.now(), ask);
        match self.call(StoreRequest::Memory(Box::new(request)))? {
            Reply::Memory(reply) => Ok(reply),
            other => unexpected(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::memory::model::New;
    use crate::memory::recall::{By, Search};
    use crate::store::Store;

    /// A model that knows two things: drinks and the rest.
    fn toy() -> Meaning {
        let drinks = |text: &str| ["tea", "espresso", "drink"].iter().any(|word| text.contains(word));
        let encode = move |text: &str| Vector {
            scale: 0.1,
            values: if drinks(text) { vec![10, 0] } else { vec![0, 10] },
        };
        Meaning { model: "toy".into(), encode: Arc::new(encode) }
    }

    #[test]
    fn a_search_goes_by_words_until_the_vectors_are_made() {
        let clock = Clock::Fixed(Timestamp::from_millis(1_800_000_000_000));
        let engine = Engine::new(Store::memory(), clock).with_meaning(Some(toy()));
        let new = |text: &str| New { namespace: "default".into(), text: text.into(), ..New::default() };
        let texts = ["She starts her day with an espresso", "Taxes are due in May"];
        engine.remember(Ask::Store(texts.map(new).to_vec())).unwrap();
        let ask = |question: &str| {
            let search = Search { question: question.into(), top_k: 5, ..Search::default() };
            match engine.remember(Ask::Search(search)).unwrap() {
                memory::Reply::Found(found) => {
                    found.hits.iter().map(|hit| (hit.memory.number, hit.by)).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(ask("favourite drink"), []);
        assert_eq!(ask("taxes"), [(2, By::Words)]);
        assert_eq!((engine.make_vectors(0).unwrap(), engine.make_vectors(2).unwrap()), (Some(2), None));
        assert_eq!(engine.make_vectors(0).unwrap(), None);
        assert_eq!(ask("favourite drink"), [(1, By::Meaning)]);
        engine.remember(Ask::Reindex { vectors: true }).unwrap();
        assert_eq!(ask("favourite drink"), []);
        assert_eq!(engine.make_vectors(0).unwrap(), Some(2));
    }
}
