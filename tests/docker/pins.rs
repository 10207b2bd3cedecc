//! Versions that are named in several places are the same everywhere, and nothing is taken as it comes.

use std::path::{Path, PathBuf};

use crate::site::{Site, shipped};

/// What stands after the first `key` of a file, up to white space.
fn after<'a>(text: &'a str, key: &str) -> &'a str {
    let (_, rest) = text.split_once(key).unwrap_or_else(|| panic!("no {key}"));
    rest.split(|c: char| c.is_whitespace() || c == '}').next().unwrap()
}

#[test]
fn every_version_is_pinned_and_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let (image, cuda, compose) =
        (shipped("docker/Dockerfile"), shipped("docker/Dockerfile.cuda"), shipped("compose.yaml"));
    assert_eq!(after(&image, "ARG VERSION="), version);
    assert_eq!(compose.matches(&format!("${{SIGHTWIRE_IMAGE:-sightwire:{version}}}")).count(), 2);
    assert_eq!(after(&cuda, "ARG SIGHTWIRE_IMAGE="), format!("sightwire:{version}"));
    for line in compose.lines().filter_map(|line| line.trim().strip_prefix("image: ")) {
        let (_, tag) = line.rsplit_once(':').expect("a tag");
        assert!(tag.contains(|c: char| c.is_ascii_digit()) && tag.contains('.'), "{line} is not pinned");
    }
    // The toolchain of the image is new enough for the crate.
    let minor = |text: &str| text.split('.').nth(1).unwrap().split('-').next().unwrap().parse::<u32>().unwrap();
    let needed = after(&shipped("Cargo.toml"), "rust-version = ").trim_matches('"').to_owned();
    assert!(minor(after(&image, "ARG BUILD_IMAGE=rust:")) >= minor(&needed));
    // ONNX Runtime's version stands in one file, which `make setup` and both images use.
    let pinned = after(&shipped(".ci/onnxruntime"), "ORT_VERSION=").to_owned();
    for (file, text) in [("Dockerfile", &image), ("Dockerfile.cuda", &cuda), ("setup", &shipped(".ci/setup"))] {
        assert!(text.contains(".ci/onnxruntime") && !text.contains(&pinned), "{file}");
    }
    // It would be fetched from a registry at every build.
    assert!(!image.contains("# syntax=") && !cuda.contains("# syntax="));
}

/// Files under `folder`, with what is in them.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn what_the_program_is_built_from_goes_into_the_image() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut needed = Vec::new();
    for (file, text) in sources(&root.join("src")) {
        for opening in ["include_str!(\"", "include_bytes!(\""] {
            for included in text.split(opening).skip(1) {
                let (path, _) = included.split_once('"').unwrap();
                // Tests' own files are not built there.
                if let Ok(path) = file.parent().unwrap().join(path).canonicalize() {
                    needed.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
    }
    let manifest = shipped("Cargo.toml");
    needed.extend(
        manifest.lines().filter_map(|line| Some(line.strip_prefix("path = \"")?.trim_end_matches('"').to_owned())),
    );
    assert!(needed.iter().any(|path| path == "models/shapes.onnx") && needed.iter().any(|path| path == "src/main.rs"));
    let (image, ignored) = (shipped("docker/Dockerfile"), shipped("docker/Dockerfile.dockerignore"));
    let copied = image.lines().filter_map(|line| line.strip_prefix("COPY ").filter(|rest| !rest.starts_with("--")));
    let copied: Vec<&str> = copied.flat_map(str::split_whitespace).collect();
    for path in needed {
        let within = |place: &&str| Path::new(&path).starts_with(place);
        assert!(copied.iter().any(within), "docker/Dockerfile copies no {path}");
        let let_in = ignored.lines().filter_map(|line| line.strip_prefix('!')).any(|place| within(&place));
        assert!(let_in, "docker/Dockerfile.dockerignore keeps {path} out");
    }
}

#[test]
fn every_service_is_locked_up() {
    let compose = shipped("compose.yaml");
    let (_, services) = compose.split_once("\nservices:\n").unwrap();
    let (services, _) = services.split_once("\nnetworks:\n").unwrap();
    let names: Vec<&str> = services
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with(' '))
        .collect();
    assert_eq!(names, ["secrets", "sightwire", "mosquitto", "nats", "watch", "prometheus", "grafana"]);
    for (what, times) in [
        ("<<: *hardened", 7),
        ("profiles: [", 7),
        ("resources: { limits: {", 7),
        ("memory: ", 7),
        ("privileged:", 0),
        ("latest", 0),
    ] {
        assert_eq!(services.matches(what).count(), times, "{what}");
    }
    for lock in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"] {
        assert!(compose.contains(lock), "{lock}");
    }
    // Everything that is published is published to this machine only, unless told otherwise.
    for line in services.lines().filter(|line| line.contains(":8720\"") || line.contains("ports: [")) {
        assert!(line.contains("ADDRESS:-127.0.0.1}:"), "{line}");
    }
}

#[test]
fn passwords_are_made_once_each_for_its_user_and_changed_when_told() {
    let site = Site::open();
    let (folder, of) = (site.folder.path(), site.folder.path().join("of"));
    let secrets = |args: &[&str]| {
        let output = Site::secrets(folder, args);
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let before = secrets(&["show"]).1;
    let all: std::collections::BTreeSet<&str> =
        before.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert!(all.len() == 10 && all.iter().all(|secret| secret.len() == 48), "{before}");
    assert!(secrets(&["make"]).0);
    assert_eq!(secrets(&["show"]).1, before, "made anew");
    // Nobody finds another's.
    let given = |file: &str| std::fs::read_to_string(of.join(file)).unwrap();
    assert_eq!(given("prometheus/sightwire_token"), site.secret("http_token"));
    assert!(!given("mosquitto/users").contains(&site.secret("mqtt_node")), "a password in clear");
    assert!(
        given("mosquitto/users").contains("node:$7$")
            && !given("nats/passwords.conf").contains(&site.secret("http_token"))
    );
    for (args, why) in [
        (&["show", "x"][..], "there is no secret x"),
        (&["renew", ""], "there is no secret"),
        (&["set", "http_token"], "16 characters"),
    ] {
        let (ok, said) = secrets(args);
        assert!(!ok && said.contains(why), "{args:?}: {said}");
    }
    assert_eq!(secrets(&["show"]).1, before, "what was refused changed something");
    // One of one's own before there is any: the others are made, none is empty.
    std::fs::remove_file(folder.join("kept/mqtt_node")).unwrap();
    assert!(secrets(&["renew", "mqtt_viewer"]).0);
    assert!(site.secret("mqtt_node").len() == 48 && given("sightwire/mqtt_password") == site.secret("mqtt_node"));
    let old = site.secret("http_token");
    assert!(secrets(&["renew", "http_token"]).0);
    assert!(site.secret("http_token") != old && given("sightwire/http_token") == site.secret("http_token"));
}
