//! A real nats-server.

use std::process::{Command, Stdio};

use sightwire::bus::NatsConfig;
use tempfile::TempDir;

use super::process::{Process, wait_for_port};
use super::{eventually, free_port};

/// A server; `stop` and `start` make an outage. What its streams hold lives as long as it does.
pub struct NatsServer {
    pub port: u16,
    dir: TempDir,
    process: Option<Process>,
}

impl NatsServer {
    pub fn with_jetstream() -> Self {
        Self::with("jetstream { store_dir: \"{dir}/js\" }\n")
    }

    /// `extra`: more lines of its configuration; `{dir}` stands for its folder.
    pub fn with(extra: &str) -> Self {
        let mut server = Self::down(extra);
        server.start();
        server
    }

    /// Configured and not yet started.
    pub fn down(extra: &str) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = format!("host: 127.0.0.1\nport: {port}\n{extra}\n").replace("{dir}", dir.path().to_str().unwrap());
        std::fs::write(dir.path().join("nats.conf"), config).unwrap();
        Self { port, dir, process: None }
    }

    pub fn start(&mut self) {
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(self.dir.path().join("nats.conf"));
        self.process = Some(Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null())));
        wait_for_port(self.port);
    }

    /// Three servers of one cluster, with JetStream that is ready to hold a stream on all of them.
    pub async fn cluster() -> [Self; 3] {
        let routes = [(); 3].map(|()| free_port());
        let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let servers = [0, 1, 2].map(|i| {
            Self::with(&format!(
                "server_name: s{i}\njetstream {{ store_dir: \"{{dir}}/js\" }}\n\
                 cluster {{ name: test, listen: \"127.0.0.1:{}\", routes: [{}] }}",
                routes[i],
                all.join(", ")
            ))
        });
        let client = servers[0].client().await;
        let jetstream = async_nats::jetstream::new(client);
        let warm = async_nats::jetstream::stream::Config {
            name: "WARM".into(),
            subjects: vec!["warm".into()],
            num_replicas: 3,
            ..Default::default()
        };
        eventually("the cluster takes a stream", async || jetstream.create_stream(warm.clone()).await.is_ok()).await;
        servers
    }

    /// SIGKILL: a server that crashed.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate();
        }
    }

    /// See [`Process::signal`].
    pub fn signal(&self, name: &str) {
        self.process.as_ref().unwrap().signal(name);
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn config(&self) -> NatsConfig {
        NatsConfig { url: self.url(), ..NatsConfig::default() }
    }

    /// A client of the test's own.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(self.url()).await.unwrap()
    }
}
