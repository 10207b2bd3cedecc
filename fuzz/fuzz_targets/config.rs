//! Configuration files with any mistake in them: all problems are told, each with a place that exists, and nothing panics.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sightwire::config::load_text;

fuzz_target!(|text: &str| {
    let file = Path::new("sightwire.yaml");
    let environment = |name: &str| match name {
        "HOME" => Some("/home/somebody".to_owned()),
        "SECRET" => Some("hunter2: [not, a, list".to_owned()),
        "NUMBER" => Some("5".to_owned()),
        _ => None,
    };
    // One more than there are: the end of a file that ends with a newline.
    let lines = text.split('\n').count() + 1;
    match load_text(text, file, &environment) {
        Ok(loaded) => {
            assert!(!loaded.config.models.is_empty() && !loaded.config.cameras.is_empty());
            for warning in &loaded.warnings {
                assert!(warning.place.is_none_or(|place| place.line <= lines));
                assert!(!warning.in_file(file).to_string().is_empty());
            }
        }
        Err(error) => {
            assert!(!error.problems.is_empty(), "refused without a reason");
            for problem in &error.problems {
                assert!(problem.place.is_none_or(|place| place.line <= lines), "{problem:?} in {lines} lines");
            }
            assert!(!error.to_string().is_empty());
        }
    }
});
