//! Tests of the front on a real socket, with a test page and stand-ins for auth, the broker and the
//! workers.

mod fixture;
mod http;
mod proxies;
mod shells;
mod start;
mod unauthenticated;
