//! Slots: where objects lie that any thread may use while any other takes them away.
//!
//! A slot is one word and an object. The word says which key the object goes by, whether it is open and how many are
//! inside. Entering is one atomic addition, whoever it was that asked; what it finds says whether to stay. Closing lets
//! nobody in any more, and the last one out drops the object, so that nobody waits and nobody sees it go. Slots are
//! never freed: a stale key finds one that is empty or goes by another.

use parking_lot::Mutex;
use std::any::{Any, TypeId};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

pub(super) const INDEX_BITS: u32 = 24;
pub(super) const TAG_BITS: u32 = 4;
pub(super) const GENERATION_BITS: u32 = 25;

/// The word: generation | tag | whether it holds an object | whether that is open | how many are inside.
const INSIDE: u64 = OPEN - 1;
const OPEN: u64 = 1 << OPEN_SHIFT;
const FULL: u64 = OPEN << 1;
const OPEN_SHIFT: u32 = 32;
const KEY_SHIFT: u32 = OPEN_SHIFT + 2;

/// The first block has this many slots, each further one twice as many as the one before.
const FIRST: usize = 64;
const BLOCKS: usize = 18;
const SLOTS: usize = FIRST * ((1 << BLOCKS) - 1);

/// An object and its type: to ask a boxed `Any` for it costs more than to enter a slot.
struct Object {
    kind: TypeId,
    boxed: Box<dyn Any + Send + Sync>,
}

/// On a cache line of its own: threads that use different objects do not slow each other.
#[derive(Default)]
#[repr(align(64))]
struct Slot {
    word: AtomicU64,
    object: UnsafeCell<Option<Object>>,
}

// SAFETY: `object` is written only by the thread that took the slot out of `vacant`, or that emptied it: the one that
// turned "full, closed, nobody inside" into "empty". It is read only by those inside, who came in while it was open.
unsafe impl Sync for Slot {}

pub(super) struct Slots {
    blocks: [OnceLock<Box<[Slot]>>; BLOCKS],
    vacant: Mutex<Vacant>,
    open: AtomicU64,
}

struct Vacant {
    emptied: Vec<usize>,
    untouched: usize,
}

/// Being inside a slot: its object stays until this is dropped.
pub(super) struct Visit<'a> {
    slots: &'a Slots,
    slot: &'a Slot,
    index: usize,
}

impl Slots {
    pub const fn new() -> Slots {
        Slots {
            blocks: [const { OnceLock::new() }; BLOCKS],
            vacant: Mutex::new(Vacant { emptied: Vec::new(), untouched: 0 }),
            open: AtomicU64::new(0),
        }
    }

    /// The handle under which the object now lies: index | tag | generation. `None` where all slots are in use.
    pub fn insert<T: Any + Send + Sync>(&self, tag: u64, object: T) -> Option<u64> {
        let object = Object { kind: TypeId::of::<T>(), boxed: Box::new(object) };
        let index = self.vacancy()?;
        let (block, place) = locate(index);
        let slots = || (0..FIRST << block).map(|_| Slot::default()).collect();
        let slot = self.blocks[block].get_or_init(slots).get(place)?;
        // SAFETY: the slot is empty and no longer vacant, so nobody else writes it, and nobody reads what is not open.
        unsafe { *slot.object.get() = Some(object) };
        let before = slot.word.load(Ordering::Relaxed) & !INSIDE;
        let key = (generation(before) + 1) << TAG_BITS | tag;
        self.open.fetch_add(1, Ordering::Relaxed);
        // added, not stored: those who look in vain are counted meanwhile
        slot.word.fetch_add((key << KEY_SHIFT | FULL | OPEN) - before, Ordering::Release);
        Some(key << INDEX_BITS | index as u64)
    }

    /// Enters the slot of an object that is there and open.
    #[inline(always)]
    pub fn enter(&self, handle: u64) -> Option<Visit<'_>> {
        let index = index(handle);
        let slot = self.slot(index)?;
        let before = slot.word.fetch_add(1, Ordering::Acquire);
        let visit = Visit { slots: self, slot, index };
        let sought = (handle >> INDEX_BITS) << (KEY_SHIFT - OPEN_SHIFT) | (FULL | OPEN) >> OPEN_SHIFT;
        (before >> OPEN_SHIFT == sought).then_some(visit)
    }

    /// How many handles the slot was given so far.
    pub fn generation(&self, handle: u64) -> u64 {
        self.slot(index(handle)).map_or(0, |slot| generation(slot.word.load(Ordering::Relaxed)))
    }

    /// How many objects are there and open.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn slot(&self, index: usize) -> Option<&Slot> {
        let (block, place) = locate(index);
        self.blocks.get(block)?.get()?.get(place)
    }

    fn vacancy(&self) -> Option<usize> {
        let mut vacant = self.vacant.lock();
        vacant.emptied.pop().or_else(|| {
            vacant.untouched = (vacant.untouched + 1).min(SLOTS + 1);
            (vacant.untouched <= SLOTS).then(|| vacant.untouched - 1)
        })
    }

    /// Empties a closed slot that nobody is in, unless somebody looked in vain just now and does it instead. One whose
    /// generations are used up is never filled again, so that no two handles are ever equal.
    #[cold]
    fn empty(&self, slot: &Slot, index: usize, closed: u64) {
        if slot.word.compare_exchange(closed, closed - FULL, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        // SAFETY: this thread emptied the slot, and it is not vacant yet.
        let object = unsafe { (*slot.object.get()).take() };
        if generation(closed) + 1 < 1 << GENERATION_BITS {
            self.vacant.lock().emptied.push(index);
        }
        drop(object);
    }
}

impl Visit<'_> {
    /// The object, if it is of this type.
    #[inline(always)]
    pub fn object<T: Any>(&self) -> Option<&T> {
        // SAFETY: whoever got a visit came in while the slot was open, and it stays full until they leave.
        let object = unsafe { &*self.slot.object.get() }.as_ref().filter(|object| object.kind == TypeId::of::<T>())?;
        // SAFETY: `insert` boxed a value of this type.
        Some(unsafe { &*(&raw const *object.boxed).cast::<T>() })
    }

    /// Lets nobody in any more. Whether this call did it.
    pub fn close(&self) -> bool {
        let closed = self.slot.word.fetch_and(!OPEN, Ordering::Relaxed) & OPEN != 0;
        if closed {
            self.slots.open.fetch_sub(1, Ordering::Relaxed);
        }
        closed
    }
}

impl Drop for Visit<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let before = self.slot.word.fetch_sub(1, Ordering::Release);
        if before & (INSIDE | OPEN | FULL) == FULL | 1 {
            self.slots.empty(self.slot, self.index, before - 1);
        }
    }
}

/// Block and place of an index.
#[inline(always)]
fn locate(index: usize) -> (usize, usize) {
    let from_one = index / FIRST + 1;
    let block = from_one.ilog2() as usize;
    (block, index + FIRST - (FIRST << block))
}

fn index(handle: u64) -> usize {
    (handle & ((1 << INDEX_BITS) - 1)) as usize
}

fn generation(word: u64) -> u64 {
    word >> (KEY_SHIFT + TAG_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::Arc;

    /// Raises a flag when it is dropped, and is counted.
    struct Canary {
        gone: Arc<AtomicBool>,
        dropped: Arc<AtomicU64>,
        handle: OnceLock<u64>,
    }

    impl Drop for Canary {
        fn drop(&mut self) {
            self.gone.store(true, Ordering::SeqCst);
            self.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn insert(slots: &Slots, dropped: &Arc<AtomicU64>) -> u64 {
        let canary = Canary { gone: Arc::default(), dropped: dropped.clone(), handle: OnceLock::new() };
        let handle = slots.insert(5, canary).unwrap();
        if let Some(visit) = slots.enter(handle) {
            let _ = visit.object::<Canary>().unwrap().handle.set(handle);
        }
        handle
    }

    fn close(slots: &Slots, handle: u64) -> bool {
        slots.enter(handle).is_some_and(|visit| visit.close())
    }

    #[test]
    fn a_handle_fits_a_double_and_finds_its_object_only_while_it_lives() {
        let slots = Slots::new();
        let first = slots.insert(5, 7u8).unwrap();
        assert_eq!(first, 5 << 24 | 1 << 28);
        assert_eq!(slots.enter(first).unwrap().object(), Some(&7u8));
        assert!(slots.enter(first).unwrap().object::<u16>().is_none());
        for foreign in [0, first + 1, first ^ 1 << 24, first + (1 << 28), u64::MAX, first | 1 << 53] {
            assert!(slots.enter(foreign).is_none(), "{foreign}");
        }
        assert!(close(&slots, first));
        assert!(!close(&slots, first), "a second time does nothing");
        let second = slots.insert(6, 8u8).unwrap();
        assert_eq!(second, 6 << 24 | 2 << 28);
        assert!(slots.enter(first).is_none(), "the slot is filled again, the old handle stays stale");
        assert_eq!((slots.open(), slots.generation(first)), (1, 2));
    }

    #[test]
    fn what_is_closed_goes_with_the_last_who_is_inside() {
        let (slots, dropped) = (Slots::new(), Arc::default());
        let handle = insert(&slots, &dropped);
        let (one, two) = (slots.enter(handle).unwrap(), slots.enter(handle).unwrap());
        let gone = one.object::<Canary>().unwrap().gone.clone();
        assert!(one.close() && !two.close());
        assert!(slots.enter(handle).is_none());
        assert_eq!(slots.open(), 0);
        let other = insert(&slots, &dropped);
        assert_eq!(index(other), 1, "the slot is not vacant yet");
        drop(one);
        assert!(!gone.load(Ordering::SeqCst));
        drop(two);
        assert!(gone.load(Ordering::SeqCst));
        assert_eq!(index(insert(&slots, &dropped)), 0);
    }

    #[test]
    fn who_looks_in_vain_is_counted_and_empties_what_others_left() {
        let (slots, dropped) = (Slots::new(), Arc::default());
        let first = insert(&slots, &dropped);
        let slot = slots.slot(0).unwrap();
        let look = || {
            slot.word.fetch_add(1, Ordering::SeqCst);
            Visit { slots: &slots, slot, index: 0 }
        };
        let gone = || dropped.load(Ordering::SeqCst);
        let (last, key) = (slots.enter(first).unwrap(), first >> INDEX_BITS << KEY_SHIFT);
        assert!(last.close());
        let looking = look();
        slots.empty(slot, 0, key | FULL);
        assert_eq!(gone(), 0, "somebody is inside");
        drop(last);
        assert_eq!(gone(), 0, "somebody still looks");
        drop(looking);
        assert_eq!(gone(), 1);
        let looking = look();
        let second = insert(&slots, &dropped);
        drop(looking);
        assert!(close(&slots, second));
        assert_eq!((gone(), slots.open()), (2, 0));
    }

    #[test]
    fn a_slot_retires_when_its_generations_are_used_up() {
        let (slots, dropped) = (Slots::new(), Arc::default());
        assert!(close(&slots, insert(&slots, &dropped)));
        slots.slot(0).unwrap().word.store(((1 << GENERATION_BITS) - 2) << (KEY_SHIFT + TAG_BITS), Ordering::SeqCst);
        let last = insert(&slots, &dropped);
        assert!(last < 1 << 53 && last > 1 << 52);
        assert!(close(&slots, last) && slots.enter(last).is_none());
        assert_eq!(index(insert(&slots, &dropped)), 1);
    }

    #[test]
    fn each_index_has_a_place_of_its_own() {
        let mut next = (0, 0);
        for index in 0..5000 {
            assert_eq!(locate(index), next);
            next = if next.1 + 1 == FIRST << next.0 { (next.0 + 1, 0) } else { (next.0, next.1 + 1) };
        }
        assert_eq!(locate(SLOTS - 1), (BLOCKS - 1, (FIRST << (BLOCKS - 1)) - 1));
        assert_eq!(locate((1 << INDEX_BITS) - 1).0, BLOCKS, "beyond the last");
    }

    #[test]
    fn nobody_sees_an_object_go_and_each_goes_once() {
        const THREADS: u64 = 6;
        const ROUNDS: usize = 5_000;
        let (slots, dropped) = (Slots::new(), Arc::default());
        let board: [AtomicU64; 4] = std::array::from_fn(|_| AtomicU64::new(insert(&slots, &dropped)));
        let look = |handle: u64, random: u64| {
            let Some(visit) = slots.enter(handle) else { return };
            let canary = visit.object::<Canary>().unwrap();
            let gone = canary.gone.clone();
            assert!(canary.handle.get().is_none_or(|own| *own == handle), "another object");
            for _ in 0..(random % 8).saturating_sub(5) {
                std::thread::yield_now();
                assert!(!gone.load(Ordering::SeqCst), "it went while somebody was inside");
            }
        };
        let work = |seed: u64| {
            let mut random = seed;
            for _ in 0..ROUNDS {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let place = &board[(random >> 33) as usize % board.len()];
                match (random >> 40) % 4 {
                    0 => _ = close(&slots, place.swap(insert(&slots, &dropped), Ordering::SeqCst)),
                    1 => _ = close(&slots, place.load(Ordering::SeqCst)),
                    _ => look(place.load(Ordering::SeqCst), random >> 50),
                }
            }
        };
        std::thread::scope(|scope| (1..=THREADS).for_each(|seed| _ = scope.spawn(move || work(seed))));
        board.iter().for_each(|place| _ = close(&slots, place.load(Ordering::SeqCst)));
        let issued: u64 = (0..FIRST as u64).map(|index| slots.generation(index)).sum();
        assert!(issued > ROUNDS as u64);
        assert_eq!((slots.open(), dropped.load(Ordering::SeqCst)), (0, issued));
    }
}
