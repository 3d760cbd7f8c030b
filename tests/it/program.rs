//! The program itself, as an operator starts it: a process of its own, and everything that it logs.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A node that has not begun to serve after this long never will.
pub(crate) const START_WITHIN: Duration = Duration::from_secs(30);

/// The program that was built with these tests.
pub(crate) const BUILT: &str = env!("CARGO_BIN_EXE_concordat");

/// The program, serving.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it and waits until it says where it serves.
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_logging(config, "info")
    }

    /// The same with a `RUST_LOG` of the test's own.
    pub(crate) fn start_logging(config: &Path, what: &str) -> Self {
        Self::start_build(Path::new(BUILT), config, what)
    }

    /// The same with another build of the program.
    pub(crate) fn start_build(program: &Path, config: &Path, what: &str) -> Self {
        let (mut begun, heard) = Self::begin_build(program, config, what);
        begun.address = loop {
            let Ok(line) = heard.recv_timeout(START_WITHIN) else {
                panic!("it does not serve: {}", begun.log.lock().unwrap());
            };
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["fields"]["message"] == "serving" {
                break entry["fields"]["address"].as_str().unwrap().parse().unwrap();
            }
        };
        begun
    }

    /// Starts it, wherever it serves and whether it does.
    pub(crate) fn begin(config: &Path) -> Self {
        Self::begin_build(Path::new(BUILT), config, "info").0
    }

    fn begin_build(program: &Path, config: &Path, what: &str) -> (Self, Receiver<String>) {
        let mut child = Command::new(program)
            .args(["serve", "--config"])
            .arg(config)
            .env("RUST_LOG", what)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, heard) = channel();
        let log = Arc::new(Mutex::new(String::new()));
        // To its end, or the program would stand still when the pipe is full.
        let kept = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().extend([line.as_str(), "\n"]);
                drop(said.send(line));
            }
        });
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        (Self { child, address, log, reader: Some(reader) }, heard)
    }

    /// Waits until it has logged this.
    pub(crate) fn until_it_says(&self, what: &str) {
        let until = Instant::now() + START_WITHIN;
        while !self.log.lock().unwrap().contains(what) {
            assert!(Instant::now() < until, "it does not say `{what}`: {}", self.log.lock().unwrap());
            thread::yield_now();
        }
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Stops it as an operator does, and waits until it has. Gives everything that it logged.
    pub(crate) fn terminate(mut self) -> String {
        assert!(Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        let log = self.logged();
        assert_eq!(code, Some(0), "{log}");
        log
    }

    /// As an operating system kills: nothing of the program runs any more. Gives everything that it logged.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        assert!(self.child.wait().unwrap().code().is_none(), "it ended by itself");
        self.logged()
    }

    /// Everything that it logged, once it has ended.
    fn logged(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

impl Drop for Program {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
