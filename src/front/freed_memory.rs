use std::time::Duration;

use tokio::sync::Notify;

use crate::sys::memory;

/// How long freed memory is kept, so that a flood of sockets does not have it returned for each. To
/// return 100 MiB takes some milliseconds, in which the thread serves nobody.
const KEPT: Duration = Duration::from_secs(5);

/// The memory of sockets that have ended. The allocator keeps nearly all of it, and the front would
/// hold that of the worst flood, up to 120 MiB, as long as it runs.
#[derive(Debug, Default)]
pub(super) struct FreedMemory {
    ended: Notify,
}

impl FreedMemory {
    /// Says that a socket has ended. All its memory must be free within [`KEPT`].
    pub(super) fn socket_ended(&self) {
        self.ended.notify_one();
    }

    /// Returns memory to the kernel, a while after sockets have ended. Never returns itself.
    pub(super) async fn give_back(&self) {
        loop {
            self.ended.notified().await;
            tokio::time::sleep(KEPT).await;
            memory::trim();
        }
    }
}
