//! The front on a real socket, between a hand-made page and stand-ins for auth, the broker and
//! the workers.

mod http;
mod shells;
mod stand_ins;
mod start;
