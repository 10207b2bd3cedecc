//! Cameras: each with its lane, its processor, its task, and the handle by which the node speaks to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::models::Models;
use super::push::{self, PushDoor};
use super::settings::remembered;
use super::yard::{CameraPast, Tenancy};
use crate::bus::Publisher;
use crate::control::{CountedLabels, Overrides};
use crate::domain::{BootId, Label, Name};
use crate::envelope::{ActualState, CameraSettings, CameraState, DesiredState, Detections, Origin, Reason};
use crate::live::{Feed, Status, Studio, VideoConfig};
use crate::pipeline::{
    Announcer, Applied, Camera, CameraConfig, Desired, Dial, FirstSeen, FrigateTopics, KeyframeQueue, KeyframeSlot,
    Processor, ProcessorParts, Seat, SessionContext, Shutter, StateView, TrackerChoice, Tuner, Tuning, Watch,
    lock_processor,
};
use crate::source::OpenOptions;
use crate::telemetry::Tracer;

/// How the rest of the node speaks to a camera.
pub struct CameraHandle {
    /// The camera's own, whichever tenancy it is in: a wish that comes while a reload exchanges handles is not lost.
    pub desired: Arc<watch::Sender<Desired>>,
    pub applied: watch::Receiver<Applied>,
    pub view: StateView,
    pub latest: watch::Receiver<Option<Arc<Detections>>>,
    pub keyframes: Arc<KeyframeSlot>,
    pub studio: Arc<Studio>,
    groups: RwLock<Vec<Name>>,
    /// It ends by itself (a file, a slideshow).
    pub finite: bool,
    /// None where its model did not load: nothing brings it to life.
    pub controls: Option<Controls>,
    /// Where programs push its pictures to, when it is made for that.
    pub push: Option<PushDoor>,
}

/// By what a camera that lives is changed and asked.
pub struct Controls {
    pub tuner: Tuner,
    pub shutter: Arc<Shutter>,
    /// What its model can find, and from which score on where the camera does not say.
    pub labels: Arc<[Label]>,
    pub model_confidence: f32,
}

impl CameraHandle {
    #[must_use]
    pub fn state(&self) -> CameraState {
        self.view.describe(&self.applied.borrow())
    }

    #[must_use]
    pub fn is_in(&self, group: &Name) -> bool {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    /// Goes by what the file says now, without a restart. Of one that is broken nobody sees more than its groups.
    /// Blocks for the disk where a setting gave way.
    pub fn refile(&self, config: &CameraConfig, overrides: &Overrides) {
        self.groups.write().unwrap_or_else(PoisonError::into_inner).clone_from(&config.groups);
        let Some(Controls { tuner, model_confidence, .. }) = &self.controls else { return };
        let file = Tuning::new(config, *model_confidence);
        let camera = &self.view.origin.camera;
        let now = remembered(camera, &file, |file| overrides.over(camera, file));
        let flat = file.flat();
        tuner.refile(file, now, &config.groups);
        // What gave way to the file must not come back when the file has its old value again.
        if let Err(error) = overrides.remember(camera, &flat, || tuner.now().flat()) {
            tracing::warn!(%camera, "{error}; settings that the file overruled may come back");
        }
    }

    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.controls.is_none()
    }
}

/// Viewers of a camera that is gone see the end.
impl Drop for CameraHandle {
    fn drop(&mut self) {
        self.studio.shut();
    }
}

/// The cameras a node has now: a reload adds and removes some. Handles are shared, so that nobody holds the lock while it waits.
#[derive(Default)]
pub struct Cameras {
    handles: RwLock<BTreeMap<Name, Arc<CameraHandle>>>,
    changes: watch::Sender<u64>,
}

impl Cameras {
    pub fn get(&self, camera: &str) -> Option<Arc<CameraHandle>> {
        self.handles.read().unwrap_or_else(PoisonError::into_inner).get(camera).cloned()
    }

    /// All of them as they are now, by name.
    pub fn all(&self) -> Vec<(Name, Arc<CameraHandle>)> {
        let cameras = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        cameras.iter().map(|(name, handle)| (name.clone(), Arc::clone(handle))).collect()
    }

    pub fn insert(&self, camera: Name, handle: CameraHandle) -> Arc<CameraHandle> {
        let handle = Arc::new(handle);
        self.handles.write().unwrap_or_else(PoisonError::into_inner).insert(camera, handle.clone());
        self.changes.send_modify(|changes| *changes += 1);
        handle
    }

    pub fn remove(&self, camera: &Name) {
        self.handles.write().unwrap_or_else(PoisonError::into_inner).remove(camera);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Moves whenever a camera comes, goes, or begins anew by another configuration.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// What all cameras of a node share.
pub struct CameraYard<'a> {
    pub node: Name,
    pub boot_id: BootId,
    pub publisher: Arc<dyn Publisher>,
    pub keyframes: Arc<KeyframeQueue>,
    pub video: VideoConfig,
    pub models: &'a Models,
    pub feed: Arc<Feed>,
    pub overrides: &'a Overrides,
    pub counted: &'a CountedLabels,
    pub first_seen: FirstSeen,
    /// None: Frigate's topics are not wanted.
    pub frigate: Option<FrigateTopics>,
    /// None: no frame is traced.
    pub tracer: Option<Tracer>,
    pub shutdown: CancellationToken,
}

impl CameraYard<'_> {
    /// Starts one camera's task.
    pub fn start(
        &self,
        name: &Name,
        config: &CameraConfig,
        past: &CameraPast,
    ) -> (CameraHandle, JoinHandle<()>, Option<Tenancy>) {
        let metrics = past.metrics.clone();
        metrics.made_of(config.model.as_str(), config.source.word());
        let origin = Origin { camera: name.clone(), node: self.node.clone(), boot_id: self.boot_id.clone() };
        let model = self.models.loaded.get(&config.model);
        let model_confidence = model.map_or(0.0, |m| m.confidence);
        let file = Tuning::new(config, model_confidence);
        let tuning = match model {
            Some(_) => remembered(name, &file, |file| self.overrides.over(name, file)),
            None => file.clone(),
        };
        let view = StateView::new(origin.clone(), settings(config, &tuning, &file), metrics.clone());
        let (desired, wishes) = (past.desired.clone(), past.desired.subscribe());
        let state = desired.borrow().state;
        if state != DesiredState::Running {
            tracing::info!(camera = %name, ?state, "was switched before, and stays so");
        }
        // Its number stays behind: what is wished now is acted upon when the camera's task has seen it.
        let unseen = Desired { state, ..Desired::default() };
        let (applied_sender, applied) = watch::channel(Applied { desired: unseen, ..Applied::default() });
        let (live, latest) = watch::channel(None);
        let studio = Studio::new(name.clone(), self.video, status(applied.clone()));
        let keyframes = self.keyframes.slot(metrics.clone());
        let announcer = Announcer::new(view.clone(), applied_sender, self.publisher.clone(), self.feed.clone());
        let mut handle = CameraHandle {
            desired,
            applied,
            view,
            latest,
            keyframes: keyframes.clone(),
            studio: studio.clone(),
            groups: RwLock::new(config.groups.clone()),
            finite: config.source.is_finite(config.looping),
            controls: None,
            push: None,
        };
        let Some(model) = model else {
            let why = self.models.failed.get(&config.model);
            let reason = why.map(|e| Reason { code: e.code().into(), message: e.to_string() });
            return (handle, tokio::spawn(broken(announcer, reason, wishes, self.shutdown.clone())), None);
        };
        let unknown = unknown_labels(tuning.labels.as_deref(), &model.info.labels);
        if !unknown.is_empty() {
            tracing::warn!(camera = %name, model = %config.model, labels = unknown.join(", "),
                "the model has no such labels: nothing of them will ever be published");
        }
        let parts = ProcessorParts {
            tracker: config.tracker,
            tuning: tuning.clone(),
            counted: self.counted.of(name),
            first_seen: self.first_seen.clone(),
            origin,
            publisher: self.publisher.clone(),
            metrics: metrics.clone(),
            keyframes,
            live,
            feed: self.feed.clone(),
            studio,
            frigate: self.frigate.clone(),
            sampler: self.tracer.as_ref().map(Tracer::sampler).unwrap_or_default(),
        };
        let processor = Arc::new(Mutex::new(Processor::new(parts).after(past.said)));
        let lane = model.turns.add(config.queue, metrics.clone());
        let (seat, faults) = Seat::new(name.clone(), lane, processor.clone(), metrics.clone());
        model.seats.write().unwrap_or_else(PoisonError::into_inner).push(seat);
        let frame_ids = past.frame_ids.clone();
        let (source, pushed) = push::opener(&config.source, &frame_ids);
        handle.push = pushed.map(|push| PushDoor::new(push, config.queue.when_full, model.turns.clone(), lane));
        let max_fps = Arc::new(Dial::new(tuning.max_fps));
        handle.controls = Some(Controls {
            shutter: lock_processor(&processor).shutter(),
            tuner: Tuner::new(file, tuning, processor.clone(), max_fps.clone(), announcer.voice()),
            labels: model.info.labels.clone(),
            model_confidence,
        });
        let context = SessionContext {
            camera: name.clone(),
            source,
            options: OpenOptions { pace: config.pace, looping: config.looping, ..OpenOptions::default() },
            max_fps,
            processor,
            turns: model.turns.clone(),
            lane,
            metrics,
            frame_ids,
            grace: SessionContext::GRACE,
            watch: Watch::new(&config.picture_check, config.source.kind()).map(|watch| Arc::new(Mutex::new(watch))),
        };
        let tenancy = Tenancy { model: model.clone(), lane, processor: context.processor.clone() };
        let camera = Camera::new(context, wishes, announcer, faults);
        let task = tokio::spawn(watched(name.clone(), camera.run(self.shutdown.clone())));
        (handle, task, Some(tenancy))
    }
}

/// How the camera stands, for its viewers.
fn status(applied: watch::Receiver<Applied>) -> Box<dyn Fn() -> Status + Send + Sync> {
    Box::new(move || {
        let applied = applied.borrow();
        Status { actual: applied.actual, reason: applied.reason.clone(), since: applied.since }
    })
}

/// A panic in a camera's task must not pass unheard: its last state would look alive.
async fn watched(name: Name, life: impl Future<Output = ()> + Send + 'static) {
    // Who ends this task ends the camera's.
    if let Err(end) = AbortOnDropHandle::new(tokio::spawn(life)).await {
        tracing::error!(camera = %name, "the camera's task ended by a panic ({end}); restart the node, and please report it");
    }
}

/// Labels that are wanted and that the model does not have.
#[must_use]
pub fn unknown_labels(wanted: Option<&[String]>, known: &[Label]) -> Vec<String> {
    let wanted = wanted.unwrap_or_default().iter();
    wanted.filter(|label| !known.iter().any(|known| **known == ***label)).cloned().collect()
}

/// A camera's settings as its state says them.
#[must_use]
pub fn settings(config: &CameraConfig, now: &Tuning, file: &Tuning) -> CameraSettings {
    CameraSettings {
        source: config.source.shown(),
        model: config.model.clone(),
        groups: config.groups.clone(),
        max_fps: now.max_fps,
        confidence: now.confidence,
        labels: now.labels.clone(),
        skip_static: now.skip_static.clone(),
        tracked: config.tracker != TrackerChoice::None,
        publish: now.publish,
        keyframes: now.keyframes.clone(),
        changed: now.differing(file),
    }
}

/// A camera without a model says why, and nothing else.
async fn broken(
    mut announcer: Announcer,
    reason: Option<Reason>,
    mut wishes: watch::Receiver<Desired>,
    shutdown: CancellationToken,
) {
    loop {
        let desired = *wishes.borrow_and_update();
        let (actual, reason) = match desired.state {
            DesiredState::Stopped => (ActualState::Stopped, None),
            _ => (ActualState::Failed, reason.clone()),
        };
        announcer.settle(desired, actual, reason);
        tokio::select! {
            () = shutdown.cancelled() => break,
            changed = wishes.changed() => if changed.is_err() { break },
        }
    }
    announcer.leave();
}
