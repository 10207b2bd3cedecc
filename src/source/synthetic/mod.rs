//! A seeded scene of moving, labelled shapes whose true boxes are known: demo, tests and training need no camera.

/// What is drawn; the same parameters give the same pictures on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SceneParams {
    pub width: u32,
    pub height: u32,
    /// Frames a second.
    pub fps: f64,
    pub seed: u64,
    /// The scene ends after so many frames; 0 = never.
    pub frames: u64,
    /// Shapes at the same time.
    pub objects: u32,
}

impl Default for SceneParams {
    fn default() -> Self {
        Self { width: 640, height: 480, fps: 15.0, seed: 1, frames: 0, objects: 5 }
    }
}
