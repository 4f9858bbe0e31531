//! What the calling thread takes from the heap, and where it waits for locks: the test's own allocator, and its own `syscall`
//! and `sched_yield`, which stand before the C library's.

use libc::{c_char, c_int, c_long, c_void};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::transmute;
use std::sync::atomic::{AtomicPtr, Ordering};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static WAITS: Cell<usize> = const { Cell::new(0) };
}

/// Allocations of this thread so far.
pub fn allocations() -> usize {
    ALLOCATIONS.get()
}

/// Times that this thread waited for a lock, or gave way to who held one, so far.
pub fn waits() -> usize {
    WAITS.get()
}

struct Counting;

// SAFETY: hands every request on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The C library's function of a name, looked up once.
fn next(found: &AtomicPtr<c_void>, name: *const c_char) -> *mut c_void {
    if found.load(Ordering::Relaxed).is_null() {
        // SAFETY: the callers' names end with a NUL.
        found.store(unsafe { libc::dlsym(libc::RTLD_NEXT, name) }, Ordering::Relaxed);
    }
    found.load(Ordering::Relaxed)
}

type Syscall = unsafe extern "C" fn(c_long, c_long, c_long, c_long, c_long, c_long, c_long) -> c_long;

/// The C library's, after counting a wait for a futex. Six arguments may always be passed on.
#[no_mangle]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    operation: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    let command = operation as c_int & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    if number == libc::SYS_futex && [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET].contains(&command) {
        WAITS.set(WAITS.get() + 1);
    }
    // SAFETY: the C library has a function of this name and form, and the caller's promises are passed on.
    unsafe {
        let next: Syscall = transmute(next(&NEXT, c"syscall".as_ptr()));
        next(number, a, operation, c, d, e, f)
    }
}

#[no_mangle]
unsafe extern "C" fn sched_yield() -> c_int {
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    WAITS.set(WAITS.get() + 1);
    // SAFETY: the C library has a function of this name and form.
    unsafe {
        let next: unsafe extern "C" fn() -> c_int = transmute(next(&NEXT, c"sched_yield".as_ptr()));
        next()
    }
}
