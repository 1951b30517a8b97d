//! One connection: a WebSocket from its upgrade to its end, with its login, its principal channel
//! and its streams.
//!
//! [`core`] is a state machine without I/O: it takes an input and returns actions ([`steps`]). Once
//! an account is signed in, [`core`] tracks the open [`streams`]: it handles their opening,
//! resizing, closing and failing, but not their bytes. [`run()`] performs the actions, and moves
//! input from the page's [`frames`], whose size and number [`websocket`] bounds, into the queue
//! ([`input`]) of its stream. Three kinds of task run beside it: [`login`] talks to auth, each
//! [`terminal`] and each [`exec`] talks to one worker, and the [`writer`] alone writes to the page.
//!
//! A stream of which the view takes a touch has a principal channel of its own, for which the
//! person's passkey was touched once more ([`step_up`]). It is closed once the stream has ended.
//!
//! Each stream has a bounded queue in each direction, and no stream waits for another. If a page
//! does not read, first its writer blocks, then the tasks of its streams, which then stop reading
//! from their workers. Each worker decides what output is skipped.

mod closing;
mod core;
mod exec;
mod frames;
#[cfg(any(test, feature = "fuzz"))]
pub(super) mod fuzz;
mod input;
mod login;
mod pace;
mod run;
mod step_up;
mod steps;
mod streams;
mod terminal;
#[cfg(test)]
mod tests;
mod websocket;
mod writer;

pub(super) use run::run;
#[cfg(test)]
pub(in crate::front) use streams::BROKEN_OFF_MAX;
#[cfg(test)]
pub(in crate::front) use terminal::DELIVERY_TIMEOUT;
