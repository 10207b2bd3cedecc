//! A child process that never outlives its owner.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

pub struct Process(Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// SIGTERM, and waits for the end: a server saves what it has to save.
    pub fn terminate(&mut self) {
        self.signal("TERM");
        self.0.wait().unwrap();
    }

    /// `STOP` freezes it with its connections open, `CONT` lets it go on, `HUP` makes a broker read its files again.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot signal process {}", self.0.id());
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a server and waits until it listens. A port it had before may be another test's for a moment: then it ends at
/// once, and is started again.
pub fn listening(command: &mut Command, port: u16) -> Process {
    let start = Instant::now();
    loop {
        let mut process = Process::spawn(command);
        while process.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
                if process.0.try_wait().is_ok_and(|ended| ended.is_none()) {
                    return process;
                }
            }
            assert!(start.elapsed() < PATIENCE, "nothing listens on port {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(start.elapsed() < PATIENCE, "{command:?} ends at once");
        std::thread::sleep(Duration::from_millis(50));
    }
}
