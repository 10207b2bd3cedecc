//! Processor time: what work costs, whoever else has the machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Of the calling thread, since it began.
#[must_use]
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// Of all threads of the process, since it began.
#[must_use]
pub fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

/// How far a thread makes way for others.
#[derive(Debug, Clone, Copy)]
pub enum Courtesy {
    /// It answers people: where all cores are busy it has a third of another's turns.
    Polite,
    /// It draws and encodes: a tenth.
    Humble,
}

/// Makes way for the other threads wherever there is not enough processor for all: the calling thread's turns are shorter
/// from now on. Where the system refuses, nothing changes.
pub fn step_back(how: Courtesy) {
    let nice = match how {
        Courtesy::Polite => 5,
        Courtesy::Humble => 10,
    };
    // Linux takes "the caller" to be the thread, not the process.
    let _refused = rustix::process::setpriority_process(None, nice);
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_and_sleep_does_not() {
        let (thread, process) = (thread_cpu(), process_cpu());
        let spent = || thread_cpu().saturating_sub(thread);
        std::thread::sleep(Duration::from_millis(50));
        let slept = spent();
        let mut sum = 0u64;
        while spent() < slept + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(slept < Duration::from_millis(20), "{slept:?}");
        assert!(process_cpu().saturating_sub(process) >= Duration::from_millis(20));
    }
}
