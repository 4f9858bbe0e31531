//! Handles: numbers that stand for objects, checked at every call.
//!
//! A handle is slot index | type | generation, below 2^53, so that it fits a double. One table holds every object: a
//! call that is inside an object keeps it alive while another thread destroys its handle. A number that is stale, of
//! another type, or was never issued gets a sentence, never undefined behaviour.

use super::slots::{Slots, Visit, INDEX_BITS, TAG_BITS};
use crate::error::{Error, Result, Status};
use std::any::Any;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

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

static SLOTS: Slots = Slots::new();

/// An object that a call is inside of: another thread may destroy its handle meanwhile, but not it.
pub(super) struct Held<T: 'static> {
    object: NonNull<Arc<T>>,
    _visit: Visit<'static>,
}

impl<T: Noun> Held<T> {
    /// The object that is visited, if it is such a one; else the visit goes on.
    fn of(visit: Visit<'static>) -> std::result::Result<Held<T>, Visit<'static>> {
        match visit.object::<Arc<T>>().map(NonNull::from) {
            Some(object) => Ok(Held { object, _visit: visit }),
            None => Err(visit),
        }
    }
}

impl<T> Deref for Held<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        // SAFETY: it lies in the slot that this struct visits for as long as it lives.
        unsafe { self.object.as_ref() }
    }
}

/// A new handle for the object.
pub(super) fn insert<T: Noun>(object: Arc<T>) -> Result<u64> {
    let full = || Error::new(Status::OutOfMemory, "handles: 2^24 are alive; destroy those no longer needed");
    let handle = SLOTS.insert(T::TYPE as u64, object.clone()).ok_or_else(full)?;
    object.issued(handle);
    Ok(handle)
}

/// The object behind a handle; `argument` is what the sentence calls it.
#[inline(always)]
pub(super) fn get<T: Noun>(argument: &str, handle: u64) -> Result<Held<T>> {
    Held::of(enter(argument, T::TYPE, handle)?).map_err(|_| another_kind(argument, T::KIND))
}

/// The object behind a handle that may stand for either kind.
pub(super) fn either<A: Noun, B: Noun>(argument: &str, handle: u64) -> Result<Either<A, B>> {
    match Held::<A>::of(enter(argument, A::TYPE, handle)?) {
        Ok(first) => Ok(Either::First(first.clone())),
        Err(visit) => match Held::<B>::of(visit) {
            Ok(second) => Ok(Either::Second(second.clone())),
            Err(_) => Err(another_kind(argument, B::KIND)),
        },
    }
}

/// Ends a handle; any number may be given, any number of times. The object lives until its last user is done with it.
pub(super) fn retire<T: Noun>(handle: u64) {
    retire_either::<T, T>(handle);
}

/// Ends a handle that may stand for either kind.
pub(super) fn retire_either<A: Noun, B: Noun>(handle: u64) {
    let Some(visit) = visit(A::TYPE, handle).filter(Visit::close) else { return };
    match Held::<A>::of(visit) {
        Ok(first) => first.clone().retired(handle),
        Err(visit) => _ = Held::<B>::of(visit).map(|second| second.clone().retired(handle)),
    }
}

/// How many handles were issued and not yet destroyed.
pub(super) fn live() -> u64 {
    SLOTS.open()
}

#[inline(always)]
fn visit(noun: Type, handle: u64) -> Option<Visit<'static>> {
    SLOTS.enter(handle).filter(|_| tag(handle) == noun as u64)
}

#[inline(always)]
fn enter(argument: &str, noun: Type, handle: u64) -> Result<Visit<'static>> {
    visit(noun, handle).ok_or_else(|| explain(argument, noun, handle, SLOTS.generation(handle)))
}

#[cold]
fn another_kind(argument: &str, expected: &str) -> Error {
    Error::state(format!("{argument}: expected {expected}, got another kind of it"))
}

/// What is wrong with a handle, of whose slot `issued` handles were made.
#[cold]
fn explain(argument: &str, noun: Type, handle: u64, issued: u64) -> Error {
    let expected = format!("{argument}: expected a {} handle", noun.name());
    let generation = handle >> (INDEX_BITS + TAG_BITS);
    let issued = generation > 0 && generation <= issued;
    let other = NAMES.get(tag(handle) as usize).filter(|name| !name.is_empty() && **name != noun.name());
    let found = match (handle, other) {
        (0, _) => "got 0".to_string(),
        (_, Some(name)) if issued => format!("got a {name} handle"),
        (_, None) if issued && tag(handle) == noun as u64 => "got one that was destroyed".to_string(),
        _ => format!("got {handle}, which this library never issued"),
    };
    Error::new(Status::InvalidHandle, format!("{expected}, {found}"))
}

fn tag(handle: u64) -> u64 {
    handle >> INDEX_BITS & ((1 << TAG_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Says which handle it was told to have, and which was destroyed.
    #[derive(Default)]
    struct Diary(Mutex<Vec<(&'static str, u64)>>);

    impl Noun for Diary {
        const TYPE: Type = Type::Blob;
        const KIND: &'static str = "a diary";

        fn issued(&self, handle: u64) {
            self.0.lock().unwrap().push(("issued", handle));
        }

        fn retired(self: Arc<Self>, handle: u64) {
            self.0.lock().unwrap().push(("retired", handle));
        }
    }

    struct Stone;

    impl Noun for Stone {
        const TYPE: Type = Type::Blob;
        const KIND: &'static str = "a stone";
    }

    fn sentence<T>(found: Result<T>) -> String {
        found.err().map_or_else(String::new, |error| error.message)
    }

    #[test]
    fn an_object_is_told_its_handle_and_its_end_once() {
        let diary = Arc::new(Diary::default());
        let handle = insert(diary.clone()).unwrap();
        let held = get::<Diary>("diary", handle).unwrap();
        retire::<Diary>(handle);
        retire::<Diary>(handle);
        assert_eq!(*held.0.lock().unwrap(), [("issued", handle), ("retired", handle)]);
        assert_eq!(
            sentence(get::<Diary>("diary", handle)),
            "diary: expected a blob handle, got one that was destroyed"
        );
        drop(held);
        assert_eq!(Arc::strong_count(&diary), 1, "nobody holds it any more");
    }

    #[test]
    fn one_type_of_handle_may_stand_for_two_kinds() {
        let (diary, stone) = (insert(Arc::new(Diary::default())).unwrap(), insert(Arc::new(Stone)).unwrap());
        assert!(matches!(either::<Diary, Stone>("blob", diary), Ok(Either::First(_))));
        assert!(matches!(either::<Diary, Stone>("blob", stone), Ok(Either::Second(_))));
        assert_eq!(sentence(get::<Diary>("diary", stone)), "diary: expected a diary, got another kind of it");
        assert_eq!(sentence(either::<Diary, Diary>("blob", stone)), "blob: expected a diary, got another kind of it");
        [diary, stone].into_iter().for_each(retire_either::<Diary, Stone>);
        assert!(get::<Diary>("diary", diary).is_err() && get::<Stone>("stone", stone).is_err());
    }

    #[test]
    fn a_wrong_handle_is_explained() {
        let told = |noun, handle| explain("job", noun, handle, 1).message;
        let job = 5 << 24 | 1 << 28;
        assert_eq!(told(Type::Job, 0), "job: expected a job handle, got 0");
        assert_eq!(told(Type::Model, job), "job: expected a model handle, got a job handle");
        assert_eq!(told(Type::Job, job), "job: expected a job handle, got one that was destroyed");
        for foreign in [12, 5 << 24 | 2 << 28, u64::MAX] {
            let expected = format!("job: expected a job handle, got {foreign}, which this library never issued");
            assert_eq!(told(Type::Job, foreign), expected);
        }
    }

    #[test]
    fn a_handle_of_another_type_opens_nothing() {
        let stone = insert(Arc::new(Stone)).unwrap();
        let job = stone & !(15 << 24) | (Type::Job as u64) << 24;
        assert!(visit(Type::Job, job).is_none() && visit(Type::Job, stone).is_none());
        assert!(visit(Type::Blob, stone).is_some());
        retire::<Stone>(stone);
    }
}
