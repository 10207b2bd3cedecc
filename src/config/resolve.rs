//! Relative paths begin at the configuration's folder; what is not said gets its machine-specific default.

use std::path::{Path, PathBuf};

use super::Config;
use super::scalar::Environment;
use crate::domain::Name;
use crate::inference::LabelsConfig;

/// Makes every relative path of the configuration begin at `folder`.
pub(super) fn paths(config: &mut Config, folder: &Path) {
    let join = |path: &mut PathBuf| *path = folder.join(&*path);
    config.state_dir.iter_mut().for_each(join);
    config.http.token_file.iter_mut().for_each(join);
    config.control.operators.values_mut().filter_map(|operator| operator.hmac_key_file.as_mut()).for_each(join);
    if let Some(traces) = &mut config.telemetry.traces {
        [&mut traces.headers_file, &mut traces.ca_file].into_iter().flatten().for_each(join);
    }
    if let Some(mqtt) = &mut config.buses.mqtt {
        [&mut mqtt.password_file, &mut mqtt.ca_file, &mut mqtt.cert_file, &mut mqtt.key_file]
            .into_iter()
            .flatten()
            .for_each(join);
    }
    if let Some(nats) = &mut config.buses.nats {
        [&mut nats.password_file, &mut nats.creds_file, &mut nats.nkey_file, &mut nats.token_file, &mut nats.ca_file]
            .into_iter()
            .flatten()
            .for_each(join);
    }
    for camera in config.cameras.values_mut() {
        camera.source.resolve(folder);
    }
    for model in config.models.values_mut() {
        if !is_bundled(&model.path) {
            join(&mut model.path);
        }
        if let Some(LabelsConfig::Named(labels)) = &mut model.labels
            && !is_builtin(labels)
        {
            *labels = folder.join(&*labels).to_string_lossy().into_owned();
        }
    }
}

/// `bundled:shapes` and its like: no file.
pub(super) fn is_bundled(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.starts_with("bundled:"))
}

/// Label lists that the program knows by name.
pub(super) fn is_builtin(labels: &str) -> bool {
    matches!(labels, "coco" | "coco91")
}

/// The host's name, made a [`Name`]: `Garage.local` becomes `garage`.
pub(super) fn host_name(environment: &Environment<'_>) -> Name {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| environment("HOSTNAME"))
        .unwrap_or_default();
    sanitised(&host)
}

fn sanitised(host: &str) -> Name {
    let first = host.trim().split('.').next().unwrap_or_default();
    Name::like(first).unwrap_or_else(Name::fallback)
}

/// `sightwire` under `$XDG_STATE_HOME`, which is `~/.local/state` when unset (XDG Base Directory Specification 0.8).
pub(super) fn state_dir(environment: &Environment<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    state_home.map(|home| home.join("sightwire"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_name_becomes_a_name_whatever_it_is() {
        for (host, name) in
            [("Garage.local\n", "garage"), ("my host!", "my-host"), ("-x-", "x"), ("", "node"), ("é", "node")]
        {
            assert_eq!(sanitised(host).as_str(), name);
        }
        assert_eq!(sanitised(&"x".repeat(200)).as_str().len(), 64);
    }

    #[test]
    fn state_lives_where_xdg_says() {
        let env = |xdg: Option<&'static str>, home: Option<&'static str>| {
            move |name: &str| if name == "HOME" { home.map(String::from) } else { xdg.map(String::from) }
        };
        assert_eq!(state_dir(&env(Some("/s"), Some("/h"))), Some("/s/sightwire".into()));
        assert_eq!(state_dir(&env(Some("relative"), Some("/h"))), Some("/h/.local/state/sightwire".into()));
        assert_eq!(state_dir(&env(None, None)), None);
    }
}
