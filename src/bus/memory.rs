//! A publisher that only collects: for tests of the rooms that publish.

use std::sync::{Mutex, PoisonError};

use super::{Message, Publisher};

#[derive(Debug, Default)]
pub struct MemoryPublisher {
    messages: Mutex<Vec<Message>>,
}

impl MemoryPublisher {
    /// What was offered since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Publisher for MemoryPublisher {
    fn offer(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }
}
