//! The workers that the broker keeps waiting. Whoever counts what is left of sessions counts these
//! too, exactly.

/// How many there are once the broker has had a moment.
pub const POOL: usize = 2;

/// The units that they have: a socket and a service each.
pub const POOL_UNITS: usize = 2 * POOL;
