//! The place of those who look on: HTTP and live video have threads of their own, so that a crowd of viewers never stands
//! before a message that is to go out.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::telemetry::{Courtesy, step_back};

/// However many watch: what is left to do for them is writing to sockets.
const THREADS: usize = 2;

/// Ends with its last task left where it stands: who looks on is told good-bye before.
pub struct Balcony {
    runtime: Option<Runtime>,
    /// To run tasks there.
    pub tasks: Handle,
}

impl Balcony {
    /// # Errors
    /// When the system gives no threads.
    pub fn open() -> io::Result<Self> {
        let mut threads = Builder::new_multi_thread();
        threads
            .worker_threads(THREADS)
            .thread_name("onlookers")
            .on_thread_start(|| step_back(Courtesy::Polite))
            .enable_all();
        let runtime = threads.build()?;
        Ok(Self { tasks: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Balcony {
    fn drop(&mut self) {
        // To wait for its threads is forbidden where other tasks run.
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}
