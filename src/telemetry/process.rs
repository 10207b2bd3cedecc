//! What the process takes of its machine, and how much there is: looked at when somebody asks.

use std::path::{Path, PathBuf};

use metrics::{Counter, Gauge};
use rustix::process::{Resource, getrlimit};

use super::{names, process_cpu, recorder};
use crate::domain::Timestamp;

/// Where the kernel tells of this process.
const STATUS: &str = "/proc/self/status";
const CGROUPS: &str = "/sys/fs/cgroup";

/// Handles of the process's figures. One that the system does not tell is NaN.
pub struct Process {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    threads: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    cores: Gauge,
    memory_limit: Gauge,
}

impl Process {
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    pub fn new() -> Self {
        let gauge = |metric| recorder::gauge(metric, &[]);
        gauge(&names::PROCESS_START).set(Timestamp::now().as_micros() as f64 / 1e6);
        Self {
            cpu: recorder::counter(&names::PROCESS_CPU, &[]),
            resident: gauge(&names::PROCESS_RESIDENT),
            virtual_memory: gauge(&names::PROCESS_VIRTUAL),
            threads: gauge(&names::PROCESS_THREADS),
            open_fds: gauge(&names::PROCESS_OPEN_FDS),
            max_fds: gauge(&names::PROCESS_MAX_FDS),
            cores: gauge(&names::CORES),
            memory_limit: gauge(&names::MEMORY_LIMIT),
        }
    }

    pub fn observe(&self) {
        self.cpu.absolute(u64::try_from(process_cpu().as_micros()).unwrap_or(u64::MAX));
        let status = std::fs::read_to_string(STATUS).unwrap_or_default();
        set(&self.resident, field(&status, "VmRSS:").map(|kib| kib * 1024));
        set(&self.virtual_memory, field(&status, "VmSize:").map(|kib| kib * 1024));
        set(&self.threads, field(&status, "Threads:"));
        // The one that this very look opens is not counted.
        let open = std::fs::read_dir("/proc/self/fd").ok().map(|fds| (fds.count() as u64).saturating_sub(1));
        set(&self.open_fds, open);
        self.max_fds.set(getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, as_float));
        set(&self.cores, std::thread::available_parallelism().ok().map(|cores| cores.get() as u64));
        set(&self.memory_limit, memory_limit());
    }
}

/// Room on the disk of this folder; of the nearest one above it that is there.
pub fn observe_disk(folder: &Path) {
    let there = folder.ancestors().find(|folder| folder.exists());
    let disk = there.and_then(|folder| rustix::fs::statvfs(folder).ok());
    let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
    let gauge = |metric| recorder::gauge(metric, &[]);
    set(&gauge(&names::STATE_DIR_FREE), disk.as_ref().map(|disk| bytes(disk.f_bavail, disk.f_frsize)));
    set(&gauge(&names::STATE_DIR_SIZE), disk.as_ref().map(|disk| bytes(disk.f_blocks, disk.f_frsize)));
}

fn set(gauge: &Gauge, value: Option<u64>) {
    gauge.set(value.map_or(f64::NAN, as_float));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn as_float(value: u64) -> f64 {
    value as f64
}

/// `VmRSS:     1234 kB`
fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The least of the machine's memory and what the control groups allow (version 2): those of a parent hold too.
fn memory_limit() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| field(&text, "MemTotal:")).map(|kib| kib * 1024);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limits(&groups, |file| std::fs::read_to_string(file).ok()).chain(machine).min()
}

fn limits(groups: &str, read: impl Fn(&Path) -> Option<String>) -> impl Iterator<Item = u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let own = PathBuf::from(own.trim_start_matches('/'));
    let files = own.ancestors().map(|group| Path::new(CGROUPS).join(group).join("memory.max")).collect::<Vec<_>>();
    files.into_iter().filter_map(move |file| read(&file)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::counted_by;

    #[test]
    fn the_process_and_its_machine_are_measured() {
        let page = counted_by(|| {
            Process::new().observe();
            observe_disk(&std::env::temp_dir().join("not/there/yet"));
        });
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
        };
        let (resident, limit) = (value("process_resident_memory_bytes"), value("sightwire_memory_limit_bytes"));
        assert!(resident > 1e6 && resident < limit && resident < value("process_virtual_memory_bytes"), "{page}");
        assert!(value("process_threads") >= 1.0 && value("sightwire_cpu_cores") >= 1.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        assert!(value("process_cpu_seconds_total") > 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - value("process_start_time_seconds")).abs() < 600.0);
        let (free, size) = (value("sightwire_state_dir_free_bytes"), value("sightwire_state_dir_size_bytes"));
        assert!(size > 1e6 && free <= size, "{free} of {size}");
    }

    #[test]
    fn the_limits_of_all_the_groups_above_hold() {
        let read = |file: &Path| match file.to_str().unwrap() {
            "/sys/fs/cgroup/a/b/memory.max" => Some("max\n".into()),
            "/sys/fs/cgroup/a/memory.max" => Some("1000\n".into()),
            "/sys/fs/cgroup/memory.max" => Some("2000\n".into()),
            _ => None,
        };
        assert_eq!(limits("1:cpu:/x\n0::/a/b\n", read).collect::<Vec<_>>(), [1000, 2000]);
        assert_eq!(limits("0::/\n", read).collect::<Vec<_>>(), [2000], "as in a container");
        assert_eq!(limits("", read).collect::<Vec<_>>(), [2000]);
    }
}
