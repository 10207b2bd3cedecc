//! The deployment on loopback: the shipped files, with the containers' names and folders replaced by this machine's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::process::Process;
use crate::common::{Mosquitto, NatsServer, free_port};

pub struct Site {
    pub folder: tempfile::TempDir,
    pub mqtt: Mosquitto,
    pub nats: NatsServer,
    pub http: u16,
}

pub fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn sightwire(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sightwire"));
    command.current_dir(folder).stdin(Stdio::null());
    for variable in ["RUST_LOG", "SIGHTWIRE_CONFIG", "SIGHTWIRE_BUS", "SIGHTWIRE_URL", "SIGHTWIRE_TOKEN_FILE"] {
        command.env_remove(variable);
    }
    command
}

impl Site {
    /// Brokers that run, with passwords made by the shipped script.
    pub fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("of");
        for service in ["sightwire", "mosquitto", "nats", "prometheus", "grafana", "viewer", "nats-data"] {
            std::fs::create_dir_all(of.join(service)).unwrap();
        }
        std::fs::create_dir(folder.path().join("kept")).unwrap();
        let made = Self::secrets(folder.path(), &["make"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let kept = |lines: &str, but: &[&str]| {
            let lines = lines.lines().filter(|line| !but.iter().any(|word| line.starts_with(word)));
            lines.flat_map(|line| [line, "\n"]).collect::<String>()
        };
        let config = kept(&shipped("docker/mosquitto/mosquitto.conf"), &["listener", "log_"])
            .replace("/run/secrets", of.join("mosquitto").to_str().unwrap())
            .replace("/mosquitto/data/", "{dir}/");
        let mqtt = Mosquitto::with(&config);
        let passwords = std::fs::read_to_string(of.join("nats/passwords.conf")).unwrap();
        let config = kept(&shipped("docker/nats/nats.conf"), &["listen:", "http:"])
            .replace("include secrets/passwords.conf", &passwords)
            .replace("/data", "{dir}/js");
        Self { mqtt, nats: NatsServer::with(&config), http: free_port(), folder }
    }

    /// `docker/secrets.sh` with these arguments.
    pub fn secrets(folder: &Path, args: &[&str]) -> std::process::Output {
        let acl = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/mosquitto/acl");
        let mut script = Command::new("sh");
        script.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/secrets.sh")).args(args).stdin(Stdio::null());
        script.env("KEPT", folder.join("kept")).env("OF", folder.join("of")).env("ACL", acl).env("TMPDIR", folder);
        // Whoever runs the tests may give no file to another user.
        script.env("CHOWN", "true").output().unwrap()
    }

    pub fn secret(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("kept").join(name)).unwrap()
    }

    /// A shipped configuration, with `more` at its end.
    pub fn config(&self, file: &str, more: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        let text = shipped(&format!("docker/sightwire/{file}"))
            .replace("/run/secrets", self.folder.path().join("of/sightwire").to_str().unwrap())
            .replace("/var/lib/sightwire", self.folder.path().join("state").to_str().unwrap())
            .replace("mqtt://mosquitto:1883", &format!("mqtt://127.0.0.1:{}", self.mqtt.port))
            .replace("nats://nats:4222", &format!("nats://127.0.0.1:{}", self.nats.port))
            .replace("0.0.0.0:8720", &format!("127.0.0.1:{}", self.http));
        std::fs::write(&path, text + more).unwrap();
        path
    }

    /// The node; its log is the file `log`.
    pub fn run(&self, config: &Path) -> Process {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        // As container engines pass on a variable that nobody set.
        Process::spawn(sightwire(self.folder.path()).args(["run", "-c"]).arg(config).env("RUST_LOG", "").stderr(log))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn bus(&self, scheme: &str, user: &str) -> String {
        let port = if scheme == "nats" { self.nats.port } else { self.mqtt.port };
        format!("{scheme}://{user}:{}@127.0.0.1:{port}", self.secret(&format!("{scheme}_{user}")))
    }
}
