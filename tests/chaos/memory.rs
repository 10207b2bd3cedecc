//! How much memory a process holds, over time.

/// Resident memory of a process in KiB; `self` for this one.
pub fn resident_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Samples taken evenly over a run.
#[derive(Debug, Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    pub fn take(&mut self, process: &str) {
        self.0.push(resident_kib(process));
    }

    /// A run that was cut short says nothing about memory.
    pub fn tell(&self) -> bool {
        self.0.len() >= 40
    }

    /// The medians of the second and of the last quarter: the first one warms up, and medians look past outages, when
    /// messages wait on purpose.
    pub fn early_and_late(&self) -> (u64, u64) {
        let median = |part: &[u64]| {
            let mut sorted = part.to_vec();
            sorted.sort_unstable();
            sorted[sorted.len() / 2]
        };
        let quarter = self.0.len() / 4;
        assert!(quarter > 0, "too few samples: {}", self.0.len());
        (median(&self.0[quarter..2 * quarter]), median(&self.0[3 * quarter..]))
    }

    fn grew(&self, mib: u64) -> bool {
        let (early, late) = self.early_and_late();
        late >= early + (mib << 10)
    }

    /// Fails when it grew by that many MiB; says the two figures.
    pub fn assert_flat(&self, who: &str, mib: u64) -> String {
        let (early, late) = self.early_and_late();
        assert!(!self.grew(mib), "{who} grew from {early} to {late} KiB: {:?}", self.0);
        format!("{:.1} -> {:.1} MiB", early as f64 / 1024.0, late as f64 / 1024.0)
    }
}

#[test]
fn growth_is_told_from_an_outage() {
    let outage = (0..100).map(|i| if (60..70).contains(&i) { 90_000 } else { 10_000 }).collect();
    assert!(!Samples(outage).grew(1));
    assert!(Samples((0..100).map(|i| 10_000 + i * 100).collect()).grew(1));
}
