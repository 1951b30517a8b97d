//! The allocator of the C library.

/// Returns to the kernel what the allocator keeps of freed memory. By itself it returns only what
/// is at the end of its heap, behind all memory in use. See malloc_trim(3).
pub fn trim() {
    // SAFETY: the function takes no pointer, and locks the memory that it looks at.
    unsafe { nix::libc::malloc_trim(0) };
}
