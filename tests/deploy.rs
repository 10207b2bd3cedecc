//! What is installed with the program is what the program takes: the Debian package's files, the nodes of the Kubernetes example.
//! `make deb-test` and `make kubernetes` try them for real.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// `sightwire check --offline`, with secrets that are there.
fn check(file: &Path) -> Result<(), String> {
    let secrets = tempfile::tempdir().unwrap();
    for name in SECRETS {
        std::fs::write(secrets.path().join(name), "a-secret-of-enough-letters\n").unwrap();
    }
    let done = Command::new(env!("CARGO_BIN_EXE_sightwire"))
        .args(["check", "--offline", "--config"])
        .arg(file)
        .env("SECRETS", secrets.path())
        .env("POD_IP", "10.1.2.3")
        .output()
        .unwrap();
    if done.status.success() {
        return Ok(());
    }
    Err([done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat())
}

/// Of `deploy/kubernetes/secret.example.yaml`.
const SECRETS: [&str; 3] = ["http_token", "mqtt_password", "nats_password"];

#[test]
fn the_installed_configurations_hold_together() {
    let mut files = vec!["deploy/debian/sightwire.yaml".to_owned()];
    let nodes = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes/nodes");
    let nodes = std::fs::read_dir(nodes).unwrap().map(|node| node.unwrap().file_name().into_string().unwrap());
    files.extend(nodes.map(|node| format!("deploy/kubernetes/nodes/{node}/sightwire.yaml")));
    assert_eq!(files.len(), 3);
    for file in files {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).unwrap_or_else(|said| panic!("{file}: {said}"));
    }
}

#[test]
fn a_configuration_that_does_not_hold_together_would_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sightwire.yaml");
    std::fs::write(&file, read("deploy/debian/sightwire.yaml").replace("model: shapes", "model: shape")).unwrap();
    assert!(check(&file).unwrap_err().contains("shape"));
}

/// `key=value` by section; a key that is given twice has both.
fn unit(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut section = String::new();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no key=value: {line}"));
        found.entry(format!("{section}.{key}")).or_default().push(value.to_owned());
    }
    found
}

#[test]
fn the_unit_starts_what_the_package_installs() {
    let (unit, manifest) = (unit(&read("deploy/debian/sightwire.service")), read("Cargo.toml"));
    let one = |key: &str| unit.get(key).map_or("", |values| values[0].as_str()).to_owned();
    assert_eq!(one("Service.ExecStart"), "/usr/bin/sightwire run -c /etc/sightwire/sightwire.yaml");
    assert!(manifest.contains(r#"["target/release/sightwire", "usr/bin/", "755"]"#));
    assert!(manifest.contains(r#"["deploy/debian/sightwire.yaml", "etc/sightwire/", "640"]"#));
    // Where the program looks for it from /usr/bin.
    assert!(manifest.contains(r#"[".onnxruntime/libonnxruntime.so", "usr/lib/sightwire/", "644"]"#));
    // The state that it may write is the one that the configuration names.
    let state = format!("state_dir: /var/lib/{}", one("Service.StateDirectory"));
    assert!(read("deploy/debian/sightwire.yaml").contains(&state), "{state}");
    let user = one("Service.User");
    assert!(read("deploy/debian/postinst").contains(&format!("chown root:{user} ")), "{user}");
    assert_eq!(one("Install.WantedBy"), "multi-user.target");
    for hardening in ["NoNewPrivileges", "ProtectSystem", "ProtectHome", "SystemCallFilter", "CapabilityBoundingSet"] {
        assert!(unit.contains_key(&format!("Service.{hardening}")), "{hardening}");
    }
}

#[test]
fn the_kubernetes_example_uses_ports_paths_and_secrets_that_there_are() {
    let (set, secret) =
        (read("deploy/kubernetes/base/statefulset.yaml"), read("deploy/kubernetes/secret.example.yaml"));
    let operations = sightwire::http::openapi();
    for probe in ["/healthz", "/readyz"] {
        assert!(set.contains(&format!("path: {probe},")), "{probe}");
        assert!(operations["paths"][probe]["get"]["security"] == serde_json::json!([{}]), "{probe} needs no token");
    }
    for name in SECRETS {
        assert!(secret.contains(&format!("  {name}: ")), "{name}");
    }
    for node in ["garage", "yard"] {
        let config = read(&format!("deploy/kubernetes/nodes/{node}/sightwire.yaml"));
        let named: Vec<PathBuf> =
            config.split("${SECRETS}/").skip(1).map(|rest| rest.lines().next().unwrap().into()).collect();
        assert!(
            !named.is_empty() && named.iter().all(|name| SECRETS.iter().any(|s| name == Path::new(s))),
            "{named:?}"
        );
        assert!(config.contains("listen: 0.0.0.0:8720") && set.contains("containerPort: 8720"));
        assert!(config.contains("state_dir: /var/lib/sightwire") && set.contains("mountPath: /var/lib/sightwire"));
    }
}
