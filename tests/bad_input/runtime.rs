//! ONNX Runtime's library: not there, or something else.

use crate::program::{Folder, Outcome, small};

fn with_library(folder: &Folder, library: &str) -> Outcome {
    folder.write("sightwire.yaml", small(folder, ""));
    let mut command = folder.command(&["run"]);
    command.env("ORT_DYLIB_PATH", library);
    let outcome = Outcome::of(command);
    assert_eq!(outcome.stderr.lines().count(), 1, "one error: {}", outcome.stderr);
    outcome
}

#[test]
fn a_library_that_is_not_there_is_one_clear_error() {
    let folder = Folder::new();
    for nothing in ["/nowhere/libonnxruntime.so", "/"] {
        with_library(&folder, nothing).fails(1, &["ORT_DYLIB_PATH names", nothing, "make setup"]);
    }
}

#[test]
fn a_file_that_is_no_onnx_runtime_is_one_clear_error() {
    let folder = Folder::new();
    let text = folder.write("text.so", "not a library");
    let empty = folder.write("empty.so", "");
    for file in [text, empty] {
        with_library(&folder, file.to_str().unwrap()).fails(1, &["cannot be used", "too short", "1.22 or newer"]);
    }
    // Any other library of the system: the C library's mathematics.
    let other = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib/aarch64-linux-gnu/libm.so.6", "/lib64/libm.so.6"];
    if let Some(other) = other.into_iter().find(|path| std::path::Path::new(path).exists()) {
        with_library(&folder, other).fails(1, &["cannot be used", "not ONNX Runtime"]);
    }
}
