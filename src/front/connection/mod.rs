//! One WebSocket, from its upgrade to its end: a connection. Its login, its principal channel and its
//! streams end with it.
//!
//! [`core`] decides, and does nothing else: it takes an input and returns actions ([`steps`]). Once
//! somebody is signed in, it knows which [`streams`] are open. It sees them open, resize, close and
//! fail; their bytes pass it by. [`run()`] performs the actions, and moves input from the page's
//! [`frames`] into the queue ([`input`]) of its stream. Three kinds of task run beside it: [`login`]
//! speaks with auth, a [`terminal`] with one worker, and the [`writer`] alone writes to the page.
//!
//! Each stream has a bounded queue in each direction, and none waits for another. If a page does not
//! read, its writer stops, then the tasks of its streams, and those do not read from their workers;
//! each worker decides what is then to be skipped.

mod closing;
mod core;
mod frames;
mod input;
mod login;
mod run;
mod steps;
mod streams;
mod terminal;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use run::run;
#[cfg(test)]
pub(in crate::front) use streams::BROKEN_OFF_MAX;
