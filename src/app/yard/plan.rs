//! What a changed configuration asks for: the difference of two, and nothing else. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::domain::Name;
use crate::inference::ModelConfig;
use crate::pipeline::CameraConfig;

/// See the module's words. Each camera is in one list at most.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub added: Vec<Name>,
    pub removed: Vec<Name>,
    /// Its configuration differs, or its model is loaded anew.
    pub restarted: Vec<Name>,
    /// Only what can be changed while it runs differs.
    pub changed: Vec<Name>,
    /// Models to load: new ones, changed ones, and those that `stale` names.
    pub load: Vec<Name>,
    /// Models that no camera uses any more.
    pub unload: Vec<Name>,
    /// Sections that differ and hold only after a restart of the process.
    pub needs_restart: Vec<String>,
}

impl Plan {
    /// `stale`: models that have to be loaded anew although their configuration is the same.
    #[must_use]
    pub fn between(old: &Config, new: &Config, stale: &BTreeSet<Name>) -> Self {
        let (used, wanted) = (used(old), used(new));
        let load: Vec<Name> = wanted
            .iter()
            .filter(|(name, model)| used.get(*name) != Some(*model) || stale.contains(**name))
            .map(|(name, _)| (*name).clone())
            .collect();
        let unload = used.keys().filter(|name| !wanted.contains_key(*name)).map(|name| (*name).clone()).collect();
        let mut plan = Self { load, unload, needs_restart: pinned(old, new), ..Self::default() };
        for (name, camera) in &new.cameras {
            match old.cameras.get(name) {
                None => plan.added.push(name.clone()),
                Some(_) if plan.load.contains(&camera.model) => plan.restarted.push(name.clone()),
                Some(before) if before == camera => {}
                Some(before) if like(before, camera) == *camera => plan.changed.push(name.clone()),
                Some(_) => plan.restarted.push(name.clone()),
            }
        }
        plan.removed = old.cameras.keys().filter(|name| !new.cameras.contains_key(*name)).cloned().collect();
        plan
    }
}

/// The camera with what can be changed live as `other` has it.
fn like(camera: &CameraConfig, other: &CameraConfig) -> CameraConfig {
    let CameraConfig { groups, max_fps, confidence, labels, skip_static, publish, keyframes, .. } = other.clone();
    CameraConfig { groups, max_fps, confidence, labels, skip_static, publish, keyframes, ..camera.clone() }
}

/// The models that cameras use.
pub fn used(config: &Config) -> BTreeMap<&Name, &ModelConfig> {
    let models = config.models.iter();
    models.filter(|(name, _)| config.cameras.values().any(|camera| camera.model == **name)).collect()
}

/// The sections that hold for as long as the process lives and differ. A new section has to be put here, or be applied.
fn pinned(old: &Config, new: &Config) -> Vec<String> {
    let Config {
        node,
        state_dir,
        buses,
        spool,
        http,
        homeassistant,
        frigate,
        telemetry,
        control: _,
        models: _,
        cameras: _,
    } = old;
    let sections = [
        ("node", *node != new.node),
        ("state_dir", *state_dir != new.state_dir),
        ("buses.mqtt", buses.mqtt != new.buses.mqtt),
        ("buses.nats", buses.nats != new.buses.nats),
        ("spool", *spool != new.spool),
        ("http", *http != new.http),
        ("homeassistant", *homeassistant != new.homeassistant),
        ("frigate", *frigate != new.frigate),
        ("telemetry", *telemetry != new.telemetry),
    ];
    sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

/// What the node goes by after the plan was carried out: the new cameras, models and operators, the old rest.
#[must_use]
pub fn carried_out(old: &Config, new: Config) -> Config {
    Config { models: new.models, cameras: new.cameras, control: new.control, ..old.clone() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bus::{BusesConfig, MqttConfig};
    use crate::source::Pace;

    fn name(kind: &str, n: u8) -> Name {
        format!("{kind}{n}").parse().unwrap()
    }

    /// Cameras by number: which model, at how many frames a second (live), at which pace (not live). Models: how many threads.
    fn config(cameras: &BTreeMap<u8, (u8, u8, bool)>, models: [u8; 3], mqtt: bool) -> Config {
        let model =
            |n: u8| ModelConfig { threads: models[usize::from(n)].into(), ..ModelConfig::new("bundled:shapes") };
        let camera = |(n, (model, fps, fast)): (&u8, &(u8, u8, bool))| {
            let source = "synthetic:shapes".parse().unwrap();
            let pace = if *fast { Pace::Asap } else { Pace::Realtime };
            let config = CameraConfig { max_fps: (*fps).into(), pace, ..CameraConfig::new(source, name("m", *model)) };
            (name("c", *n), config)
        };
        Config {
            node: None,
            state_dir: None,
            buses: BusesConfig { mqtt: mqtt.then(MqttConfig::default), nats: None },
            spool: crate::bus::SpoolConfig::default(),
            control: crate::control::ControlConfig::default(),
            http: crate::http::HttpConfig::default(),
            homeassistant: None,
            frigate: crate::frigate::FrigateConfig::default(),
            telemetry: crate::telemetry::TelemetryConfig::default(),
            models: (0..3).map(|n| (name("m", n), model(n))).collect(),
            cameras: cameras.iter().map(camera).collect(),
        }
    }

    fn any_config() -> impl Strategy<Value = Config> {
        let cameras = proptest::collection::btree_map(0..5_u8, (0..3_u8, 1..3_u8, any::<bool>()), 1..5);
        (cameras, proptest::array::uniform3(1..3_u8), any::<bool>())
            .prop_map(|(cameras, models, mqtt)| config(&cameras, models, mqtt))
    }

    fn stale() -> impl Strategy<Value = BTreeSet<Name>> {
        proptest::collection::btree_set((0..3_u8).prop_map(|n| name("m", n)), 0..2)
    }

    proptest! {
        #[test]
        fn nothing_is_touched_that_did_not_change(config in any_config()) {
            prop_assert_eq!(Plan::between(&config, &config, &BTreeSet::new()), Plan::default());
        }

        #[test]
        fn every_camera_has_one_fate_and_the_right_one(old in any_config(), new in any_config(), stale in stale()) {
            let plan = Plan::between(&old, &new, &stale);
            for camera in old.cameras.keys().chain(new.cameras.keys()) {
                let lists = [&plan.added, &plan.removed, &plan.restarted, &plan.changed].map(|list| list.contains(camera));
                let expected = match (old.cameras.get(camera), new.cameras.get(camera)) {
                    (None, _) => [true, false, false, false],
                    (_, None) => [false, true, false, false],
                    (Some(before), Some(after)) => {
                        let model = old.models[&before.model] != new.models[&after.model] || stale.contains(&after.model);
                        let other = before.model != after.model || before.pace != after.pace;
                        let anew = model || other;
                        [false, false, anew, !anew && before != after]
                    }
                };
                prop_assert_eq!(lists, expected, "{}", camera);
            }
        }

        #[test]
        fn afterwards_exactly_the_used_models_are_loaded(old in any_config(), new in any_config(), stale in stale()) {
            let plan = Plan::between(&old, &new, &stale);
            let mut loaded: BTreeMap<Name, ModelConfig> =
                used(&old).into_iter().map(|(name, model)| (name.clone(), model.clone())).collect();
            loaded.retain(|name, _| !plan.unload.contains(name));
            for name in &plan.load {
                loaded.insert(name.clone(), new.models[name].clone());
            }
            let wanted = used(&new);
            prop_assert_eq!(loaded.iter().collect::<BTreeMap<_, _>>(), wanted.clone());
            prop_assert!(wanted.keys().all(|name| !stale.contains(*name) || plan.load.contains(name)));
            // Who is not restarted keeps a model that is not.
            for (camera, config) in &new.cameras {
                let goes_on = old.cameras.contains_key(camera) && !plan.restarted.contains(camera);
                prop_assert!(!(goes_on && plan.load.contains(&config.model)));
            }
        }

        #[test]
        fn once_carried_out_only_what_needs_a_restart_is_left(old in any_config(), new in any_config()) {
            let plan = Plan::between(&old, &new, &BTreeSet::new());
            let then = carried_out(&old, new.clone());
            let again = Plan::between(&then, &new, &BTreeSet::new());
            prop_assert_eq!(again, Plan { needs_restart: plan.needs_restart, ..Plan::default() });
        }
    }

    #[test]
    fn sections_that_need_a_restart_are_named() {
        let cameras = BTreeMap::from([(0, (0, 1, true))]);
        let old = config(&cameras, [1; 3], false);
        let mut new = config(&cameras, [1; 3], true);
        new.node = Some(name("n", 1));
        new.spool.enabled = !new.spool.enabled;
        new.http.listen.set_port(1);
        new.frigate.topics = true;
        let plan = Plan::between(&old, &new, &BTreeSet::new());
        assert_eq!(plan.needs_restart, ["node", "buses.mqtt", "spool", "http", "frigate"]);
        assert!(plan.restarted.is_empty());
    }
}
