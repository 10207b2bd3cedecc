//! npm packages that a test runs.

use std::path::Path;
use std::process::Command;

/// Installs what the folder's lock file names, as `.ci/setup` does, unless that is there; no package's own scripts are run.
pub fn install(folder: &Path) {
    let lock = std::fs::read(folder.join("package-lock.json")).unwrap();
    let mark = folder.join("node_modules/.of-this-lock");
    if std::fs::read(&mark).is_ok_and(|of| of == lock) {
        return;
    }
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    let done = Command::new("npm").args(arguments).current_dir(folder).output();
    let done = done.unwrap_or_else(|e| panic!("npm ci: {e}; `make setup` installs Node.js"));
    assert!(done.status.success(), "npm ci: {}", String::from_utf8_lossy(&done.stderr));
    std::fs::write(mark, lock).unwrap();
}
