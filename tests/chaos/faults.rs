//! What can happen to a broker and to the way there.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::common::{Mosquitto, NatsServer};
use super::plan::{between, ms, plan};
use super::proxy::{Proxy, Weather};

/// A server that is a process of the test's own.
pub trait Server: Send {
    fn kill(&mut self);
    fn stop(&mut self);
    fn start(&mut self);
    fn signal(&self, name: &str);
}

macro_rules! a_server {
    ($name:ty) => {
        impl Server for $name {
            fn kill(&mut self) {
                Self::kill(self);
            }
            fn stop(&mut self) {
                Self::stop(self);
            }
            fn start(&mut self) {
                Self::start(self);
            }
            fn signal(&self, name: &str) {
                Self::signal(self, name);
            }
        }
    };
}

a_server!(Mosquitto);
a_server!(NatsServer);

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// SIGKILL, and away for so long.
    Kill(Duration),
    /// SIGTERM.
    Restart(Duration),
    /// SIGSTOP: connections stay open and nothing answers.
    Freeze(Duration),
    /// RST; FIN.
    Reset,
    Close,
    /// In the middle of a packet.
    CutAfter(i64),
    StallUp(Duration),
    StallDown(Duration),
    Trickle(u32, Duration),
    Refuse(Duration),
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Restart(_) => "restart",
            Self::Freeze(_) => "freeze",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::CutAfter(_) => "cut in a packet",
            Self::StallUp(_) => "stall up",
            Self::StallDown(_) => "stall down",
            Self::Trickle(..) => "trickle",
            Self::Refuse(_) => "refuse",
        }
    }

    /// `kills`: SIGKILL is among them.
    pub fn roll(dice: &mut Rng, kills: bool) -> Self {
        // Now and then so long that the link has to find out by itself that nothing will come.
        let stuck = if plan().full && dice.u8(..15) == 0 {
            between(dice, ms(18_000), ms(40_000))
        } else {
            between(dice, ms(20), ms(2_000))
        };
        let away = between(dice, ms(0), ms(1_200));
        match dice.u8(..20) {
            0..6 if kills => Self::Kill(away),
            0..9 => Self::Restart(away),
            9..11 => Self::Freeze(stuck),
            11 => Self::Reset,
            12 => Self::Close,
            13..15 => Self::CutAfter(dice.i64(1..20_000)),
            15 => Self::StallUp(stuck),
            16 | 17 => Self::StallDown(stuck),
            18 => Self::Trickle(dice.u32(2_000..60_000), stuck),
            _ => Self::Refuse(away),
        }
    }

    /// All is well again when this returns.
    pub async fn strike(self, server: &mut dyn Server, proxy: &Proxy) {
        let clear = Weather::default();
        let (bad, length) = match self {
            Self::Kill(away) => {
                server.kill();
                sleep(away).await;
                return block_in_place(|| server.start());
            }
            Self::Restart(away) => {
                block_in_place(|| server.stop());
                sleep(away).await;
                return block_in_place(|| server.start());
            }
            Self::Freeze(length) => {
                server.signal("STOP");
                sleep(length).await;
                return server.signal("CONT");
            }
            Self::Reset | Self::Close => return proxy.cut(matches!(self, Self::Reset)),
            Self::CutAfter(bytes) => return proxy.cut_after(bytes),
            Self::StallUp(length) => (Weather { stall_up: true, ..clear }, length),
            Self::StallDown(length) => (Weather { stall_down: true, ..clear }, length),
            Self::Trickle(bytes_per_second, length) => (Weather { bytes_per_second, ..clear }, length),
            Self::Refuse(length) => (Weather { refuse: true, ..clear }, length),
        };
        proxy.weather(bad);
        sleep(length).await;
        proxy.weather(clear);
    }
}

/// How often each was struck.
#[derive(Debug, Clone, Default)]
pub struct Struck(BTreeMap<&'static str, u32>);

impl Struck {
    pub fn count(&mut self, name: &'static str) {
        *self.0.entry(name).or_default() += 1;
    }

    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, count)| *self.0.entry(name).or_default() += count);
    }

    pub fn total(&self) -> u32 {
        self.0.values().sum()
    }
}

impl std::fmt::Display for Struck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.0.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&parts.join(", "))
    }
}
