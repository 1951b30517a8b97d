//! The worker pool of the broker. Tests that count what sessions leave behind must count the pool
//! too, exactly.

/// Number of waiting workers, once the broker has had time to start them.
pub const POOL: usize = 2;

/// Number of their units: a socket and a service each.
pub const POOL_UNITS: usize = 2 * POOL;
