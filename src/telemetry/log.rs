//! Log set-up: stderr only, pretty or JSON, `RUST_LOG` respected.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One line a record for people; colour on a terminal.
    #[default]
    Pretty,
    /// One JSON object a line for machines.
    Json,
}

/// Sets the process's log up; a second call does nothing. `default` is the filter when `RUST_LOG` is not set.
pub fn init_log(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // The second initialisation fails by design: tests start several nodes in one process.
    let _already = match format {
        LogFormat::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
