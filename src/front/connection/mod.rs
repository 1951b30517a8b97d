//! One WebSocket, from its upgrade to its end: a connection. Everything of it, the login, the
//! principal channel and the viewers, ends when it ends.
//!
//! [`core`] decides, and does nothing else: `handle(input, now) -> actions`; once somebody is signed
//! in, with the [`channels`] that are open. [`run()`] is the shell around it, and starts three kinds of task: [`login`] speaks with auth, a [`viewer`] with one
//! worker, and the [`writer`] alone writes to the page.
//!
//! No task keeps a queue that a peer can grow. A page that does not read stops its writer, that
//! stops its viewers, and those stop reading from their sockets; what is then to be skipped is
//! the worker's business.

mod channels;
mod closing;
mod core;
mod frames;
mod login;
mod run;
#[cfg(test)]
mod tests;
mod viewer;
mod writer;

#[cfg(test)]
pub(in crate::front) use channels::BROKEN_OFF_MAX;
pub(super) use run::run;
