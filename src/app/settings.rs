//! What `set`, `reset` and `snapshot` do to a camera of this node.

use std::time::Duration;

use serde_json::{Map, Value};

use super::NodeFleet;
use super::cameras::{CameraHandle, Controls};
use crate::config::{ChangeError, Changeable};
use crate::control::{Answer, Flat, Refusal};
use crate::domain::Name;
use crate::envelope::{ActualState, CameraState, KeyframeMeta};
use crate::pipeline::Tuning;

/// So long a picture is waited for; a camera that runs has one long before.
const SHOT: Duration = Duration::from_secs(5);

/// So long a reload that exchanges cameras is waited for.
const RELOAD: Duration = Duration::from_secs(10);

impl NodeFleet {
    pub(super) async fn set_settings(&self, camera: &Name, args: &Map<String, Value>) -> Answer {
        if args.is_empty() {
            let why =
                r#"set takes the settings in args: {"command":"set","args":{"confidence":0.6}}; nothing was changed"#;
            return Err(Refusal::new("bad_args", why));
        }
        self.tune(camera, |controls, now| {
            let Controls { labels, model_confidence, .. } = controls;
            Changeable { now, model_confidence: *model_confidence, labels }.change(args)
        })
        .await
    }

    pub(super) async fn reset_settings(&self, camera: &Name) -> Answer {
        self.tune(camera, |controls, _| Ok(controls.tuner.file())).await
    }

    /// The change first, then the disk: that cannot keep a setting from being changed.
    async fn tune(
        &self,
        camera: &Name,
        change: impl FnOnce(&Controls, &Tuning) -> Result<Tuning, ChangeError>,
    ) -> Answer {
        // What is set while a reload exchanges cameras would be the old one's, or give way to the file.
        let busy = || Refusal::new("busy", "a reload is under way; try again in a moment");
        let _steady = self.yard.steady(RELOAD).await.ok_or_else(busy)?;
        let handle = self.handle(camera)?;
        let controls = controls(&handle)?;
        controls
            .tuner
            .tune(|now| change(controls, now))
            .map_err(|error| Refusal::new(error.code, format!("{error}; nothing was changed")))?;
        tracing::info!(%camera, changed = controls.tuner.changed().join(", "), "settings");
        let (overrides, name, held) = (self.overrides.clone(), camera.clone(), handle.clone());
        let written = tokio::task::spawn_blocking(move || match &held.controls {
            Some(Controls { tuner, .. }) => overrides.remember(&name, &tuner.file().flat(), || tuner.now().flat()),
            None => Ok(()),
        });
        let refuse =
            |why: String| Refusal::new("not_remembered", format!("applied, but lost with the next restart: {why}"));
        written.await.map_err(|e| refuse(e.to_string()))?.map_err(|e| refuse(e.to_string()))?;
        Ok(handle.state())
    }

    pub(super) async fn shoot(&self, camera: &Name) -> Result<(CameraState, KeyframeMeta), Refusal> {
        let handle = self.handle(camera)?;
        let controls = controls(&handle)?;
        if handle.applied.borrow().actual == ActualState::Ended {
            return Err(Refusal::new(
                "ended",
                "the camera's source has ended: there is no picture; use start or restart",
            ));
        }
        let crowded = || Refusal::new("busy", "too many wait for a picture of this camera; try again in a moment");
        let shot = controls.shutter.press().ok_or_else(crowded)?;
        let mut applied = handle.applied.clone();
        let outcome = tokio::select! {
            shot = shot => match shot {
                Ok(Ok(keyframe)) => Ok(keyframe),
                Ok(Err(why)) => Err(Refusal::new("no_picture", format!("the picture could not be made: {why}"))),
                Err(_) => Err(Refusal::new("no_picture", "the picture was given up: the camera's processing failed")),
            },
            _ = applied.wait_for(|a| matches!(a.actual, ActualState::Stopped | ActualState::Ended)) => {
                Err(Refusal::new("no_picture", "the camera stopped or ended before a picture came"))
            }
            () = tokio::time::sleep(SHOT) => Err(Refusal::new("timeout", no_frame(&handle))),
        };
        Ok((handle.state(), outcome?))
    }
}

/// The file's settings with what was set before the restart.
pub(super) fn remembered(camera: &Name, file: &Tuning, over: impl FnOnce(&Flat) -> (Flat, Vec<String>)) -> Tuning {
    let (settings, passed_over) = over(&file.flat());
    for key in passed_over {
        tracing::warn!(%camera, key, "was set by a command, but the file was changed since: the file's value holds");
    }
    let tuning = Tuning::from_flat(&settings).unwrap_or_else(|error| {
        tracing::error!(%camera, "remembered settings are unreadable ({error}): the file's hold");
        file.clone()
    });
    let changed = tuning.differing(file);
    if !changed.is_empty() {
        tracing::info!(%camera, changed = changed.join(", "), "was set before the restart, and stays so; `reset` takes it back");
    }
    tuning
}

fn controls(handle: &CameraHandle) -> Result<&Controls, Refusal> {
    let why = || handle.applied.borrow().reason.as_ref().map_or("its model did not load".into(), |r| r.message.clone());
    handle.controls.as_ref().ok_or_else(|| Refusal::new("camera_failed", why()))
}

fn no_frame(handle: &CameraHandle) -> String {
    let applied = handle.applied.borrow();
    let why = applied.reason.as_ref().map(|reason| format!(": {}: {}", reason.code, reason.message));
    format!("no frame within {SHOT:?}; the camera is {}{}", applied.actual.as_str(), why.unwrap_or_default())
}
