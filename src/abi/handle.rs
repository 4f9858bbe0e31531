//! Handles: numbers that stand for objects, checked at every call.
//!
//! A handle is slot index | type | generation, below 2^53, so that it fits a double. One table holds every object
//! behind an `Arc`: a call that is inside an object keeps it alive while another thread destroys its handle. A number
//! that is stale, of another type, or was never issued gets a sentence, never undefined behaviour.

use crate::error::{Error, Result, Status};
use parking_lot::RwLock;
use std::any::Any;
use std::sync::Arc;

const INDEX_BITS: u32 = 24;
const TYPE_BITS: u32 = 4;
const GENERATION_BITS: u32 = 25;
const NAMES: [&str; 8] = ["", "runtime", "model", "batch", "session", "job", "blob", "actor"];

/// What a type of object is called and numbered in its handles.
pub(super) trait Noun: Any + Send + Sync {
    const TYPE: Type;
    /// What this kind of it is called, where handles of one type stand for several.
    const KIND: &'static str = "";

    /// The handle under which the object says what happens to it; told once.
    fn issued(&self, _handle: u64) {}

    /// Its handle was destroyed.
    fn retired(self: Arc<Self>, _handle: u64) {}
}

/// One of two kinds of object that share a type of handle.
pub(super) enum Either<A, B> {
    First(Arc<A>),
    Second(Arc<B>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Runtime = 1,
    Model = 2,
    Batch = 3,
    Session = 4,
    Job = 5,
    Blob = 6,
    Actor = 7,
}

impl Type {
    fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

struct Slot {
    generation: u64,
    occupant: Option<(Type, Arc<dyn Any + Send + Sync>)>,
}

struct Table {
    slots: Vec<Slot>,
    free: Vec<usize>,
    live: u64,
}

static TABLE: RwLock<Table> = RwLock::new(Table { slots: Vec::new(), free: Vec::new(), live: 0 });

/// A new handle for the object.
pub(super) fn insert<T: Noun>(object: Arc<T>) -> Result<u64> {
    let handle = TABLE.write().insert(T::TYPE, object.clone())?;
    object.issued(handle);
    Ok(handle)
}

/// The object behind a handle; `argument` is what the sentence calls it.
pub(super) fn get<T: Noun>(argument: &str, handle: u64) -> Result<Arc<T>> {
    let found = TABLE.read().find(T::TYPE, handle).cloned();
    let found = found.ok_or_else(|| TABLE.read().explain(argument, T::TYPE, handle))?;
    found.downcast::<T>().map_err(|_| Error::state(format!("{argument}: expected {}, got another kind of it", T::KIND)))
}

/// The object behind a handle that may stand for either kind.
pub(super) fn either<A: Noun, B: Noun>(argument: &str, handle: u64) -> Result<Either<A, B>> {
    let found = TABLE.read().find(A::TYPE, handle).cloned();
    let found = found.ok_or_else(|| TABLE.read().explain(argument, A::TYPE, handle))?;
    match found.downcast::<A>() {
        Ok(first) => Ok(Either::First(first)),
        Err(_) => get::<B>(argument, handle).map(Either::Second),
    }
}

/// Ends a handle; any number may be given, any number of times. The object lives until its last user is done with it.
pub(super) fn retire<T: Noun>(handle: u64) {
    let object = TABLE.write().remove(T::TYPE, handle);
    if let Some(object) = object.and_then(|(_, object)| object.downcast::<T>().ok()) {
        object.retired(handle);
    }
}

/// Ends a handle that may stand for either kind.
pub(super) fn retire_either<A: Noun, B: Noun>(handle: u64) {
    let Some((_, object)) = TABLE.write().remove(A::TYPE, handle) else { return };
    match object.downcast::<A>() {
        Ok(first) => first.retired(handle),
        Err(object) => object.downcast::<B>().into_iter().for_each(|second| second.retired(handle)),
    }
}

/// How many handles were issued and not yet destroyed.
pub(super) fn live() -> u64 {
    TABLE.read().live
}

impl Table {
    fn insert(&mut self, noun: Type, object: Arc<dyn Any + Send + Sync>) -> Result<u64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.slots.len() >> INDEX_BITS == 0 => {
                self.slots.push(Slot { generation: 1, occupant: None });
                self.slots.len() - 1
            }
            None => {
                return Err(Error::new(Status::OutOfMemory, "handles: 2^24 are alive; destroy those no longer needed"))
            }
        };
        let slot = &mut self.slots[index];
        slot.occupant = Some((noun, object));
        self.live += 1;
        Ok(index as u64 | (noun as u64) << INDEX_BITS | slot.generation << (INDEX_BITS + TYPE_BITS))
    }

    fn find(&self, noun: Type, handle: u64) -> Option<&Arc<dyn Any + Send + Sync>> {
        let (index, tag, generation) = split(handle);
        let slot = self.slots.get(index).filter(|slot| slot.generation == generation && tag == noun as u64)?;
        slot.occupant.as_ref().filter(|(found, _)| *found == noun).map(|(_, object)| object)
    }

    /// A slot whose generations are used up is never filled again, so no two handles are ever equal.
    fn remove(&mut self, noun: Type, handle: u64) -> Option<(Type, Arc<dyn Any + Send + Sync>)> {
        self.find(noun, handle)?;
        let (index, ..) = split(handle);
        let slot = &mut self.slots[index];
        slot.generation += 1;
        if slot.generation >> GENERATION_BITS == 0 {
            self.free.push(index);
        }
        self.live -= 1;
        slot.occupant.take()
    }

    fn explain(&self, argument: &str, noun: Type, handle: u64) -> Error {
        let expected = format!("{argument}: expected a {} handle", noun.name());
        let (index, tag, generation) = split(handle);
        let issued = self.slots.get(index).is_some_and(|slot| generation > 0 && generation <= slot.generation);
        let other = NAMES.get(tag as usize).filter(|name| !name.is_empty() && **name != noun.name());
        let found = match (handle, other) {
            (0, _) => "got 0".to_string(),
            (_, Some(name)) if issued => format!("got a {name} handle"),
            (_, None) if issued && tag == noun as u64 => "got one that was destroyed".to_string(),
            _ => format!("got {handle}, which this library never issued"),
        };
        Error::new(Status::InvalidHandle, format!("{expected}, {found}"))
    }
}

fn split(handle: u64) -> (usize, u64, u64) {
    let index = handle & ((1 << INDEX_BITS) - 1);
    let tag = handle >> INDEX_BITS & ((1 << TYPE_BITS) - 1);
    (index as usize, tag, handle >> (INDEX_BITS + TYPE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table { slots: Vec::new(), free: Vec::new(), live: 0 }
    }

    fn sentence(table: &Table, noun: Type, handle: u64) -> String {
        table.explain("job", noun, handle).message
    }

    #[test]
    fn a_handle_fits_a_double_and_finds_its_object_only_while_it_lives() {
        let mut table = table();
        let first = table.insert(Type::Job, Arc::new(7u8)).unwrap();
        assert_eq!(first, 5 << 24 | 1 << 28);
        assert!(table.find(Type::Job, first).is_some());
        assert!(table.find(Type::Batch, first).is_none());
        assert!(table.remove(Type::Batch, first).is_none());
        assert!(table.remove(Type::Job, first).is_some());
        assert!(table.remove(Type::Job, first).is_none(), "a second destroy does nothing");
        let second = table.insert(Type::Job, Arc::new(8u8)).unwrap();
        assert_eq!(second, 5 << 24 | 2 << 28);
        assert!(table.find(Type::Job, first).is_none(), "the slot is filled again, the old handle stays stale");
        assert_eq!(table.live, 1);
    }

    #[test]
    fn a_wrong_handle_is_explained() {
        let mut table = table();
        let job = table.insert(Type::Job, Arc::new(())).unwrap();
        assert_eq!(sentence(&table, Type::Job, 0), "job: expected a job handle, got 0");
        assert_eq!(sentence(&table, Type::Model, job), "job: expected a model handle, got a job handle");
        assert_eq!(
            sentence(&table, Type::Job, 12),
            "job: expected a job handle, got 12, which this library never issued"
        );
        let foreign = format!("job: expected a job handle, got {}, which this library never issued", u64::MAX);
        assert_eq!(sentence(&table, Type::Job, u64::MAX), foreign);
        table.remove(Type::Job, job);
        assert_eq!(sentence(&table, Type::Job, job), "job: expected a job handle, got one that was destroyed");
    }

    #[test]
    fn a_slot_retires_when_its_generations_are_used_up() {
        let mut table = table();
        let first = table.insert(Type::Blob, Arc::new(())).unwrap();
        table.remove(Type::Blob, first);
        table.slots[0].generation = (1 << GENERATION_BITS) - 1;
        let last = table.insert(Type::Blob, Arc::new(())).unwrap();
        assert!(last < 1 << 53);
        assert!(last > 1 << 52);
        table.remove(Type::Blob, last);
        let next = table.insert(Type::Blob, Arc::new(())).unwrap();
        assert_eq!(split(next), (1, 6, 1));
    }
}
