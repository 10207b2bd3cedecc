//! What the node says over HTTP.

mod config;

pub use config::HttpConfig;
