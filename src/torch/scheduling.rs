//! What the operating system knows of a thread: its priority and its CPUs. Threads that a thread makes, as OpenMP does for
//! libtorch's operators, inherit both.

use crate::error::{Error, Result};
use libc::{c_int, cpu_set_t};

/// How a thread is scheduled beside others.
#[derive(Clone, Copy)]
pub enum Priority {
    Normal,
    Batch { nice: c_int },
    Idle,
}

/// The CPUs that a thread may use.
#[derive(Clone, Copy)]
pub struct Cpus(cpu_set_t);

impl Cpus {
    /// Those of the calling thread; `None` where the system does not tell.
    pub fn of_this_thread() -> Option<Cpus> {
        // SAFETY: a set of bits, of which all patterns are valid; the call writes no more than its size.
        unsafe {
            let mut set: cpu_set_t = std::mem::zeroed();
            (libc::sched_getaffinity(0, size_of::<cpu_set_t>(), &mut set) == 0).then_some(Cpus(set))
        }
    }

    /// These, by number below 1024.
    pub fn numbered(numbers: &[u32]) -> Cpus {
        // SAFETY: zero is a valid set, and all numbers lie within it.
        unsafe {
            let mut set: cpu_set_t = std::mem::zeroed();
            let within = numbers.iter().filter(|number| **number < 1024);
            within.for_each(|number| libc::CPU_SET(*number as usize, &mut set));
            Cpus(set)
        }
    }

    /// Binds the calling thread; an error where it may not use one of them, and then it may use only some.
    pub fn bind(&self) -> Result<()> {
        // SAFETY: reads a set that lives for the call.
        let bound = unsafe { libc::sched_setaffinity(0, size_of::<cpu_set_t>(), &self.0) };
        let got = Cpus::of_this_thread().filter(|_| bound == 0);
        let denied = self.numbers().find(|number| got.is_none_or(|got| !got.contains(*number)));
        match denied {
            None => Ok(()),
            Some(number) => Err(Error::config(format!("CPU {number} is none that this process may use"))),
        }
    }

    fn contains(&self, number: usize) -> bool {
        // SAFETY: CPU_ISSET reads within the set for numbers below its size.
        number < 1024 && unsafe { libc::CPU_ISSET(number, &self.0) }
    }

    fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..1024).filter(|number| self.contains(*number))
    }
}

impl Priority {
    /// Lowers the calling thread to this; what is lower already stays. A real-time thread becomes an ordinary one.
    pub fn lower(self) {
        // SAFETY: plain values about the calling thread. A refusal means that it is lower already.
        unsafe {
            if libc::sched_getscheduler(0) == libc::SCHED_IDLE {
                return;
            }
            let (policy, nice) = match self {
                Priority::Normal => (libc::SCHED_OTHER, libc::c_int::MIN),
                Priority::Batch { nice } => (libc::SCHED_BATCH, nice),
                Priority::Idle => (libc::SCHED_IDLE, libc::c_int::MIN),
            };
            libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority: 0 });
            if nice > libc::getpriority(libc::PRIO_PROCESS, 0) {
                libc::setpriority(libc::PRIO_PROCESS, 0, nice);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    /// Policy and nice level of the calling thread.
    fn standing() -> (c_int, c_int) {
        // SAFETY: asks about the calling thread.
        unsafe { (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0)) }
    }

    #[test]
    fn a_thread_is_lowered_and_never_raised() {
        let before = standing();
        let after = |steps: &[Priority]| {
            on_a_thread(|| {
                steps.iter().for_each(|step| step.lower());
                standing()
            })
        };
        let nice = before.1.max(10);
        assert_eq!(after(&[Priority::Normal]), before);
        assert_eq!(after(&[Priority::Batch { nice: 10 }]), (libc::SCHED_BATCH, nice));
        assert_eq!(after(&[Priority::Batch { nice: 10 }, Priority::Batch { nice: 3 }]), (libc::SCHED_BATCH, nice));
        assert_eq!(after(&[Priority::Idle, Priority::Normal]), (libc::SCHED_IDLE, before.1));
        assert_eq!(standing(), before, "other threads are not touched");
    }

    #[test]
    fn a_thread_is_bound_or_told_which_cpu_is_missing() {
        let own = Cpus::of_this_thread().unwrap();
        let first = own.numbers().next().unwrap();
        let bound = on_a_thread(|| {
            Cpus::numbered(&[first as u32]).bind().unwrap();
            Cpus::of_this_thread().unwrap().numbers().collect::<Vec<_>>()
        });
        assert_eq!(bound, [first]);
        for wrong in [vec![first as u32, 1023], vec![1023]] {
            let error = on_a_thread(|| Cpus::numbered(&wrong).bind().unwrap_err());
            assert_eq!(error.message, "CPU 1023 is none that this process may use");
        }
        assert!(own.numbers().eq(Cpus::of_this_thread().unwrap().numbers()));
    }
}
