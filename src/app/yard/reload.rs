//! The configuration is read again: checked whole, its models loaded, and only then is anything touched.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::plan::{Plan, carried_out, used};
use super::{Grounds, Held, Yard, control_topics, show_model, start};
use crate::app::models::{Model, Models, crowded};
use crate::bus::{Topic, topic_word};
use crate::config::{self, Config, Loaded};
use crate::control::{Refusal, Rules};
use crate::domain::{Name, Timestamp};
use crate::envelope::{Reason, ReloadSummary};
use crate::telemetry::set_last_reload;

/// For the workers of a model that is not used any more.
const WORKERS: Duration = Duration::from_secs(5);

/// A file that holds together, and everything it needs.
struct Prepared {
    config: Config,
    plan: Plan,
    models: Models,
    rules: Rules,
    warnings: Vec<String>,
}

impl Yard {
    /// Reads the file again and carries it out; a file that is wrong changes nothing. One at a time, and to its end, whatever
    /// becomes of who asked.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn reload(self: &Arc<Self>) -> Result<(), Refusal> {
        let yard = self.clone();
        let done = self.grounds.tasks.spawn(async move {
            let mut held = yard.held.lock().await;
            let outcome = yard.reload_held(&mut held).await;
            yard.tell(&outcome);
            outcome.map(drop)
        });
        done.await.unwrap_or_else(|e| Err(Refusal::new("internal_error", format!("the reload was cut off: {e}"))))
    }

    async fn reload_held(&self, held: &mut Held) -> Result<ReloadSummary, Refusal> {
        let shutdown = &self.grounds.shutdown;
        let ends = || Refusal::new("shutting_down", "the node is ending; nothing was changed");
        let prepared = shutdown.run_until_cancelled(prepare(&self.grounds, held)).await.ok_or_else(ends)??;
        if shutdown.is_cancelled() {
            return Err(ends());
        }
        let done = self.switch_over(held, prepared).await;
        *self.models.write().unwrap_or_else(PoisonError::into_inner) = held.models.summaries();
        Ok(done)
    }

    /// From here on nothing can be refused any more.
    async fn switch_over(&self, held: &mut Held, prepared: Prepared) -> ReloadSummary {
        let Prepared { config, plan, models, rules, warnings } = prepared;
        let grounds = &self.grounds;
        // First of all: whose key was taken away commands nothing any more.
        if config.control != held.config.control {
            tracing::info!(operators = config.control.operators.len(), "who may command what is as the file says now");
        }
        grounds.guard.renew(rules, Timestamp::now());
        let exchanging = self.exchange.write().await;
        self.end(held, &plan.removed, ("removed", "it was taken out of the configuration")).await;
        for name in &plan.removed {
            grounds.fanout.clear(name, |_| true);
            self.cameras.remove(name);
            grounds.frigate.left(name);
            grounds.telemetry.hide(&[("camera", name.as_str())], true);
        }
        self.end(held, &plan.restarted, ("reload", "it begins anew by its changed configuration")).await;
        held.config = carried_out(&held.config, config);
        let old = exchange(grounds, held, models, &plan);
        for name in &plan.added {
            start(grounds, &self.cameras, held, name);
        }
        for name in &plan.restarted {
            start(grounds, &self.cameras, held, name);
            clear_what_is_over(grounds, held, name);
        }
        for name in &plan.changed {
            refile(grounds, held, name);
            clear_what_is_over(grounds, held, name);
        }
        grounds.subscriptions.set_control(control_topics(&grounds.node, &held.config));
        drop(exchanging);
        retire(old).await;
        let Plan { added, removed, restarted, changed, needs_restart, .. } = plan;
        ReloadSummary {
            timestamp: Timestamp::now(),
            ok: true,
            added,
            removed,
            restarted,
            changed,
            needs_restart,
            warnings,
            error: None,
        }
    }

    /// Ends these cameras, side by side.
    async fn end(&self, held: &mut Held, names: &[Name], (code, why): (&str, &str)) {
        let leaving = names.iter().map(|name| {
            let tenant = held.tenants.remove(name);
            let why = Reason { code: code.into(), message: why.into() };
            async move { tenant?.leave(name, why).await }
        });
        let left = join_all(leaving.collect::<Vec<_>>()).await;
        for (name, past) in names.iter().zip(&left) {
            if let (Some(kept), Some(past)) = (held.pasts.get_mut(name), past) {
                kept.said = *past;
            }
        }
    }

    /// To the log, the metrics and the node's state.
    fn tell(&self, outcome: &Result<ReloadSummary, Refusal>) {
        set_last_reload(outcome.is_ok(), Timestamp::now());
        let file = self.grounds.file.display();
        let summary = match outcome {
            Ok(done) => {
                for warning in &done.warnings {
                    tracing::warn!("{warning}");
                }
                for section in &done.needs_restart {
                    tracing::warn!("{section} was changed in {file}, and holds only after a restart of the node");
                }
                let list = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                tracing::info!(%file, added = list(&done.added), removed = list(&done.removed),
                    restarted = list(&done.restarted), changed = list(&done.changed), "configuration reloaded");
                done.clone()
            }
            Err(refusal) => {
                tracing::error!(%file, code = refusal.code, "reload refused, nothing was changed: {}", refusal.message);
                ReloadSummary {
                    timestamp: Timestamp::now(),
                    ok: false,
                    added: Vec::new(),
                    removed: Vec::new(),
                    restarted: Vec::new(),
                    changed: Vec::new(),
                    needs_restart: Vec::new(),
                    warnings: Vec::new(),
                    error: Some(refusal.message.clone()),
                }
            }
        };
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(summary);
    }
}

/// Reads, checks, compares and loads. Touches nothing that runs.
async fn prepare(grounds: &Grounds, held: &Held) -> Result<Prepared, Refusal> {
    let (file, runtime) = (grounds.file.clone(), grounds.runtime.clone());
    let stopped = |e: tokio::task::JoinError| Refusal::new("internal_error", e.to_string());
    let read = tokio::task::spawn_blocking(move || config::load(Some(&file))).await.map_err(stopped)?;
    let Loaded { config, warnings, file, .. } = read.map_err(|error| {
        let problems: Vec<String> = error.problems.iter().map(|p| p.in_file(&error.file).to_string()).collect();
        Refusal::new("bad_configuration", problems.join("\n"))
    })?;
    let control = config.control.clone();
    let rules = tokio::task::spawn_blocking(move || Rules::read(control)).await.map_err(stopped)?;
    let rules = rules.map_err(|e| Refusal::new("bad_configuration", e.to_string()))?;
    let warnings = warnings.iter().map(|warning| warning.in_file(&file).to_string());
    let warnings: Vec<String> = warnings.chain(crowded(&config)).collect();
    let unchanged = |name: &Name| held.config.models.get(name) == config.models.get(name);
    let stale = |name: &Name| match (held.models.loaded.get(name), config.models.get(name)) {
        (Some(loaded), Some(model)) => loaded.is_stale(model),
        _ => held.models.failed.contains_key(name),
    };
    let stale: BTreeSet<Name> = used(&config).into_keys().filter(|name| stale(name)).cloned().collect();
    let plan = Plan::between(&held.config, &config, &stale);
    let (load, of) = (plan.load.clone(), config.clone());
    let loading = tokio::task::spawn_blocking(move || Models::load_some(&runtime, &of, &load));
    let models = loading.await.map_err(stopped)?.map_err(|e| Refusal::new("model_failed", e.to_string()))?;
    // One that failed before and is the same is no news, and keeps nobody from changing the rest.
    let news = |name: &Name| !(unchanged(name) && held.models.failed.contains_key(name));
    let failed: Vec<String> =
        models.failed.iter().filter(|(name, _)| news(name)).map(|(n, e)| format!("{n}: {e}")).collect();
    if failed.is_empty() {
        return Ok(Prepared { config, plan, models, rules, warnings });
    }
    Err(Refusal::new("model_failed", failed.join("\n")))
}

/// The new models in the place of the old; those that are over.
fn exchange(grounds: &Grounds, held: &mut Held, models: Models, plan: &Plan) -> Vec<(Name, Arc<Model>)> {
    let over = plan.unload.iter().chain(&plan.load);
    let old: Vec<(Name, Arc<Model>)> = over.filter_map(|name| held.models.loaded.remove_entry(name)).collect();
    held.models.failed.retain(|name, _| !plan.unload.contains(name) && !plan.load.contains(name));
    for (name, model) in &old {
        show_model(&grounds.telemetry, name, model, false);
    }
    for (name, model) in &models.loaded {
        show_model(&grounds.telemetry, name, model, true);
    }
    let Models { loaded, failed } = models;
    held.models.loaded.extend(loaded);
    held.models.failed.extend(failed);
    old
}

/// Ends the workers, so that the memory is given back.
async fn retire(models: Vec<(Name, Arc<Model>)>) {
    let deadline = Instant::now() + WORKERS;
    for (name, model) in models {
        model.turns.shut();
        for (title, thread) in model.workers() {
            crate::app::shutdown::join(&title, thread, deadline).await;
        }
        tracing::info!(model = %name, "model unloaded");
    }
}

/// A camera that runs goes by its settings in the file.
fn refile(grounds: &Grounds, held: &Held, name: &Name) {
    if let (Some(tenant), Some(config)) = (held.tenants.get(name), held.config.cameras.get(name)) {
        tenant.handle.refile(config, &grounds.overrides);
    }
}

/// What the camera said before and will say no more: counts of labels that are not looked for, keyframes.
fn clear_what_is_over(grounds: &Grounds, held: &Held, name: &Name) {
    let Some(camera) = held.config.cameras.get(name) else { return };
    let model = held.models.loaded.get(&camera.model);
    let known: BTreeSet<String> = match (&camera.labels, model) {
        (Some(wanted), _) => wanted.iter().map(|label| topic_word(label)).collect(),
        (None, Some(model)) => model.info.labels.iter().map(|label| topic_word(label)).collect(),
        (None, None) => BTreeSet::new(),
    };
    grounds.fanout.clear(name, |topic| match topic {
        Topic::Count(_, label) => !known.contains(&topic_word(label)),
        Topic::Keyframe(_) | Topic::KeyframeMeta(_) => camera.keyframes.is_none(),
        _ => false,
    });
    grounds.frigate.clear_labels(name, |label| !known.contains(&topic_word(label)));
}
