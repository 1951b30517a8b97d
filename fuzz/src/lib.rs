//! What all targets have in common: a bound on the memory that one input may take.

pub mod webauthn;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Runs a target on one input. It may allocate no more than `most` bytes at a time.
pub fn run(target: fn(&[u8]), most: usize, input: &[u8]) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    target(input);
    let peak = MEMORY.peak_usage().saturating_sub(before);
    assert!(peak <= most, "{peak} bytes of memory instead of at most {most}");
}

/// The entry of a fuzz target: a function of an input, and how much memory it may take.
#[macro_export]
macro_rules! target {
    ($target:path, $most:expr) => {
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $crate::run($target, $most, data));
    };
}
