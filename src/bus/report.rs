//! Says how a link is: to the watch, the gauges and the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::Outbox;
use super::delivery::Verdict;
use super::topic::pattern;
use crate::domain::redact_text;
use crate::telemetry::Notice;

/// What can be wrong with a link that is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Commands cannot arrive: the stop button is not connected.
    Control,
    /// What others say (Home Assistant's birth, Frigate's switches) cannot arrive.
    Listening,
    /// Nobody would receive what is published.
    Delivery,
    /// Topics that we may not publish to.
    Permission,
    /// Whether anybody would receive is not known: the probe is forbidden, or never came back.
    Unproven,
    /// The server is about to shut down.
    LameDuck,
}

impl Trouble {
    /// The node does not do what it is for.
    #[must_use]
    pub fn is_grave(self) -> bool {
        matches!(self, Self::Control | Self::Delivery | Self::Permission)
    }

    fn notice(self) -> Notice {
        match self {
            Self::Control => Notice::ControlRefused,
            Self::Listening => Notice::ListenRefused,
            Self::Delivery => Notice::NotDelivering,
            Self::Unproven => Notice::Unproven,
            Self::Permission => Notice::PublishForbidden,
            Self::LameDuck => Notice::LameDuck,
        }
    }
}

/// Whether a link is up, and if not, why; and what is wrong although it is up. Safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkState {
    pub connected: bool,
    pub detail: String,
    pub troubles: BTreeMap<Trouble, String>,
    /// Whether the delivery probe comes back; `None`: nobody knows.
    pub delivering: Option<bool>,
}

impl LinkState {
    fn down(detail: impl Into<String>) -> Self {
        Self { connected: false, detail: detail.into(), ..Self::default() }
    }

    pub(super) fn new() -> Self {
        Self::down("not yet connected")
    }

    /// Connected, and nothing grave is wrong.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.connected && !self.troubles.keys().any(|trouble| trouble.is_grave())
    }

    /// What is wrong, in words; nothing when all is well.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if !self.connected {
            return Some(self.detail.clone());
        }
        let words: Vec<&str> = self.troubles.values().map(String::as_str).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// The server and what is wrong with it.
    #[must_use]
    pub fn shown(&self) -> String {
        let problem = self.problem().filter(|_| self.connected);
        problem.map_or_else(|| self.detail.clone(), |problem| format!("{}; {problem}", self.detail))
    }
}

pub(super) struct Report {
    name: &'static str,
    outbox: Arc<Outbox>,
    state: watch::Sender<LinkState>,
    prefix: String,
    separator: char,
    /// The delivery probe is switched on.
    probed: bool,
    forbidden: BTreeSet<String>,
    ever_up: bool,
}

impl Report {
    pub(super) fn new(
        name: &'static str,
        outbox: Arc<Outbox>,
        state: watch::Sender<LinkState>,
        (prefix, separator): (&str, char),
        probed: bool,
    ) -> Self {
        Self {
            name,
            outbox,
            state,
            prefix: prefix.to_owned(),
            separator,
            probed,
            forbidden: BTreeSet::new(),
            ever_up: false,
        }
    }

    pub(super) fn up(&mut self, detail: &str) {
        let metrics = self.outbox.metrics();
        metrics.connected(true);
        if self.ever_up {
            metrics.reconnect();
        }
        tracing::info!(bus = self.name, server = detail, again = self.ever_up, "connected");
        self.ever_up = true;
        self.state.send_modify(|state| {
            state.connected = true;
            detail.clone_into(&mut state.detail);
        });
        metrics.control_connected(!self.state.borrow().troubles.contains_key(&Trouble::Control));
    }

    /// A reason is logged once, until it changes or the link was up in between.
    pub(super) fn down(&mut self, why: &str) {
        let detail = redact_text(why);
        self.gauges_down();
        let waiting = self.outbox.waiting().total_messages();
        if self.state.borrow().detail == detail {
            tracing::debug!(bus = self.name, why = detail, waiting, "still not connected");
        } else {
            tracing::warn!(bus = self.name, why = detail, waiting, "not connected; trying again");
        }
        self.state.send_replace(LinkState::down(detail));
    }

    pub(super) fn stopped(&mut self) {
        self.gauges_down();
        self.state.send_replace(LinkState::down("stopped"));
    }

    fn gauges_down(&mut self) {
        self.forbidden.clear();
        let metrics = self.outbox.metrics();
        metrics.connected(false);
        metrics.control_connected(false);
        metrics.delivering(self.probed.then_some(false));
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.outbox.metrics().notice(notice);
    }

    /// Something is wrong: said once, until the words change or it was well in between.
    pub(super) fn trouble(&mut self, trouble: Trouble, why: &str) {
        let why = redact_text(why);
        if self.state.borrow().troubles.get(&trouble) == Some(&why) {
            return;
        }
        self.notice(trouble.notice());
        if trouble.is_grave() {
            tracing::error!(bus = self.name, "{why}");
        } else {
            tracing::warn!(bus = self.name, "{why}");
        }
        if trouble == Trouble::Control {
            self.outbox.metrics().control_connected(false);
        }
        self.state.send_modify(|state| {
            state.troubles.insert(trouble, why);
        });
    }

    /// It is well again.
    pub(super) fn relieved(&mut self, trouble: Trouble, now: &str) {
        if self.state.borrow().troubles.contains_key(&trouble) {
            tracing::info!(bus = self.name, "{now}");
            self.state.send_modify(|state| {
                state.troubles.remove(&trouble);
            });
        }
    }

    /// Control topics that we may not listen on.
    pub(super) fn deaf_on(&mut self, refused: &[String]) {
        if refused.is_empty() {
            self.relieved(Trouble::Control, "commands arrive again");
            return;
        }
        let why = format!(
            "the stop button is not connected: the server does not let this node listen on {}; allow it to subscribe there",
            refused.join(", ")
        );
        self.trouble(Trouble::Control, &why);
    }

    /// Addresses of others that we may not listen on.
    pub(super) fn deaf_to_others(&mut self, refused: &[String]) {
        if refused.is_empty() {
            self.relieved(Trouble::Listening, "the server lets this node listen on every topic again");
            return;
        }
        let why =
            format!("the server does not let this node listen on {}; allow it to subscribe there", refused.join(", "));
        self.trouble(Trouble::Listening, &why);
    }

    /// The server does not let us publish to addresses of this one's sort: said once a sort, with what to do.
    pub(super) fn forbidden(&mut self, address: &str) {
        if self.forbidden.insert(self.pattern(address)) {
            self.say_forbidden();
        }
    }

    fn pattern(&self, address: &str) -> String {
        let any = if self.separator == '/' { "+" } else { "*" };
        pattern(address, &self.prefix, self.separator, any)
    }

    /// It took one of this address's sort.
    pub(super) fn allowed(&mut self, address: impl FnOnce() -> String) {
        // Nearly always empty, and then this costs nothing.
        if self.forbidden.is_empty() || !self.forbidden.remove(&self.pattern(&address())) {
            return;
        }
        if self.forbidden.is_empty() {
            self.relieved(Trouble::Permission, "the server takes every topic again");
        } else {
            self.say_forbidden();
        }
    }

    fn say_forbidden(&mut self) {
        let topics: Vec<&str> = self.forbidden.iter().map(String::as_str).collect();
        let why = format!(
            "the server does not let this node publish to {}: such messages are refused and counted; allow it to publish there",
            topics.join(", ")
        );
        self.trouble(Trouble::Permission, &why);
    }

    /// What the delivery probe says.
    pub(super) fn delivery(&mut self, verdict: Verdict, address: &str) {
        self.delivering(match verdict {
            Verdict::Unknown => None,
            Verdict::Delivering => Some(true),
            Verdict::Stopped { .. } | Verdict::Never { .. } => Some(false),
        });
        match verdict {
            Verdict::Unknown => {}
            Verdict::Delivering => {
                self.relieved(Trouble::Delivery, "what is published comes back again");
                self.relieved(Trouble::Unproven, "the delivery probe comes back");
            }
            Verdict::Stopped { .. } => {
                self.trouble(
                    Trouble::Delivery,
                    "connected, but nobody would receive: the delivery probe comes back no more; look at the server's load, log and permissions",
                );
            }
            Verdict::Never { .. } => {
                let why = format!(
                    "the delivery probe never came back: either the server delivers nothing, or it does not let this node publish to and read {address}; allow both, or set probe_interval: 0s"
                );
                self.trouble(Trouble::Unproven, &why);
            }
        }
    }

    fn delivering(&self, yes: Option<bool>) {
        self.outbox.metrics().delivering(yes);
        self.state.send_if_modified(|state| std::mem::replace(&mut state.delivering, yes) != yes);
    }

    /// The probe itself is forbidden: whether anybody would receive is not known.
    pub(super) fn probe_forbidden(&mut self, what: &str, address: &str) {
        self.delivering(None);
        let why = format!(
            "the delivery probe is forbidden: the server does not let this node {what} {address}; allow it, or set probe_interval: 0s"
        );
        self.trouble(Trouble::Unproven, &why);
    }
}
