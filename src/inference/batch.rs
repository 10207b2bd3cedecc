//! How many pictures go into one run.

use super::ModelConfig;
use super::device::Device;
use super::facts::Facts;
use super::session::OnnxSession;

/// On a graphics processor, where nothing else is said: beyond it a run grows about as fast as its pictures.
const USUAL: usize = 8;

/// Pictures a run at most. Sizes are tried here, so that no frame pays for a size's first run.
pub fn settle(model: &str, config: &ModelConfig, session: &mut OnnxSession, facts: &Facts) -> usize {
    let wanted = config.max_batch.unwrap_or(match session.device {
        // Others make a plan for every size, some for minutes, or are processors: there a batch only makes frames wait.
        Device::Cuda | Device::Rocm => USUAL,
        _ => 1,
    });
    let sizes: Vec<usize> = sizes(wanted).collect();
    if sizes.is_empty() {
        return 1;
    }
    match session.try_batches(&sizes, facts) {
        Ok(()) => {
            tracing::info!(model, max_batch = wanted, "frames of several cameras go into one run");
            sizes.into_iter().max().unwrap_or(1)
        }
        Err(why) if config.max_batch.is_some() => {
            tracing::warn!(model, max_batch = wanted, "the model runs one frame at a time: {why}");
            1
        }
        Err(why) => {
            tracing::debug!(model, "the model runs one frame at a time: {why}");
            1
        }
    }
}

/// Powers of two: devices prepare themselves for each size, so there are to be few.
fn sizes(most: usize) -> impl Iterator<Item = usize> {
    (1..usize::BITS).map(|power| 1 << power).take_while(move |size| *size <= most)
}

/// How many of those that are there go into the next run.
pub fn next(there: usize, most: usize) -> usize {
    sizes(most.min(there)).last().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_the_largest_power_of_two_that_is_there() {
        let runs = |mut there: usize, most| {
            let mut runs = Vec::new();
            while there > 0 {
                runs.push(next(there, most));
                there -= runs[runs.len() - 1];
            }
            runs
        };
        assert_eq!(runs(7, 8), [4, 2, 1]);
        assert_eq!(runs(8, 8), [8]);
        assert_eq!(runs(5, 3), [2, 2, 1]);
        assert_eq!(runs(3, 1), [1, 1, 1]);
        assert_eq!(sizes(6).collect::<Vec<_>>(), [2, 4]);
        assert!(sizes(1).next().is_none());
    }
}
