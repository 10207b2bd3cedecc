//! Log set-up: stderr only, pretty or JSON, `RUST_LOG` respected; and the status line that log records flow above.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line a record for people; colour on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line for machines.
    Json,
}

/// Sets the process's log up; a second call does nothing. `default` is the filter when `RUST_LOG` is not set, or empty: container
/// engines pass on variables that nobody set.
pub fn init_log(format: LogFormat, default: &str) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|wanted| !wanted.is_empty());
    let filter = wanted.and_then(|wanted| EnvFilter::try_new(wanted).ok()).unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Above).with_target(false);
    // The second initialisation fails by design: tests start several nodes in one process.
    let _already = match format {
        LogFormat::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

static LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The line at the bottom of a terminal.
#[derive(Clone)]
pub struct StatusLine(ProgressBar);

impl StatusLine {
    #[must_use]
    pub fn show() -> Self {
        let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
        *LINE.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Self(bar)
    }

    /// A bar that fills as `total` things are done.
    #[must_use]
    pub fn count(total: u64) -> Self {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _full = write!(out, "{:.1}/s", state.per_sec());
        };
        let style = ProgressStyle::with_template("{human_pos}/{human_len} {wide_bar} {rate:>9} {eta:>4} to go");
        let style = style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.with_key("rate", rate));
        let bar = ProgressBar::new(total).with_style(style);
        *LINE.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        Self(bar)
    }

    /// One thing more is done.
    pub fn advance(&self) {
        self.0.inc(1);
    }

    pub fn set(&self, text: &str) {
        self.0.set_message(text.to_owned());
        self.0.tick();
    }

    pub fn clear(&self) {
        self.0.finish_and_clear();
        *LINE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Runs what writes to the terminal while the status line, where there is one, is out of the way.
pub fn above<T>(write: impl FnOnce() -> T) -> T {
    let line = LINE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match line {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Writes to stderr, above the status line where there is one.
struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        above(|| std::io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
