//! The options by which `detect` and `bench` are told of a model: those of the configuration's `models:`, by the same names.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::BadUsage;
use crate::inference::{
    Device, Devices, FamilyChoice, InferenceError, InputConfig, LabelsConfig, ModelConfig, OnnxDetector, Runtime,
};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// The ONNX file; or `bundled:shapes`, the detector that comes with the program.
    #[arg(short, long, value_name = "FILE")]
    pub model: PathBuf,
    /// How the outputs are decoded; `auto` reads it off the model.
    #[arg(long, value_name = "FAMILY", default_value = "auto", value_parser = words::<FamilyChoice>())]
    pub family: FamilyChoice,
    /// `coco`, a file with one label a line, or the labels themselves with commas between; default: the model's metadata.
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    pub labels: Option<LabelsConfig>,
    /// Detections below this score are not made.
    #[arg(long, value_name = "0…1", default_value_t = ModelConfig::new("").confidence, value_parser = fraction)]
    pub confidence: f32,
    /// Of two boxes of one class that overlap more than this, the lower score goes.
    #[arg(long, value_name = "0…1", default_value_t = ModelConfig::new("").iou, value_parser = fraction)]
    pub iou: f32,
    /// Suppress across classes too.
    #[arg(long)]
    pub class_agnostic_nms: bool,
    /// How pictures are prepared, where it is not as the family has it: the configuration's `input:` as JSON, such as
    /// '{"resize": "stretch", "mean": 127, "std": 128}'.
    #[arg(long, value_name = "JSON", value_parser = input, default_value = "{}", hide_default_value = true)]
    pub input: InputConfig,
    /// What the model runs on; several, with commas between: the first that the library has and that loads.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_delimiter = ',', value_parser = words::<Device>())]
    pub device: Vec<Device>,
    /// Threads of one session.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
}

impl ModelArgs {
    /// As the configuration would have it.
    #[must_use]
    pub fn config(&self) -> ModelConfig {
        ModelConfig {
            family: self.family,
            labels: self.labels.clone(),
            confidence: self.confidence,
            iou: self.iou,
            class_agnostic_nms: self.class_agnostic_nms,
            input: self.input,
            device: match self.device[..] {
                [device] => Devices::One(device),
                _ => Devices::Several(self.device.clone()),
            },
            threads: usize::from(self.threads),
            ..ModelConfig::new(&self.model)
        }
    }
}

/// Loads what the options name. What is wrong with the model or its labels is wrong with the command line.
pub fn load(config: &ModelConfig) -> anyhow::Result<OnnxDetector> {
    let runtime = Runtime::load()?;
    OnnxDetector::load(&runtime, config).map_err(|error| match error {
        // In the configuration's words this would speak of a file that is not there.
        InferenceError::Unreadable { model, why } => BadUsage(format!("--model {model}: cannot be read: {why}")).into(),
        error @ (InferenceError::Device { .. } | InferenceError::Run { .. }) => error.into(),
        error => BadUsage(error.to_string()).into(),
    })
}

/// The words of an enum of the configuration, with their descriptions: one list for the file and the command line.
fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: JsonSchema + DeserializeOwned + Clone + Send + Sync + 'static,
{
    let schema = schemars::schema_for!(T);
    let list = |key: &str| schema.get(key).and_then(|list| list.as_array()).cloned().unwrap_or_default();
    // What has no description stands in a bare `enum`.
    let plain = list("enum").into_iter().chain(list("oneOf").into_iter().flat_map(|one| match one.get("enum") {
        Some(serde_json::Value::Array(words)) => words.clone(),
        _ => vec![one],
    }));
    let values: Vec<PossibleValue> = plain.filter_map(|value| possible(&value)).collect();
    PossibleValuesParser::new(values).try_map(|word| serde_json::from_value(serde_json::Value::String(word)))
}

fn possible(value: &serde_json::Value) -> Option<PossibleValue> {
    let word = value.as_str().or_else(|| value.get("const")?.as_str())?;
    let help = value.get("description").and_then(|text| text.as_str());
    let known = PossibleValue::new(word.to_owned());
    Some(match help {
        Some(help) => known.help(help.trim_end_matches('.').to_owned()),
        None => known,
    })
}

fn labels(text: &str) -> Result<LabelsConfig, String> {
    if !text.contains(',') || Path::new(text).exists() {
        return Ok(LabelsConfig::Named(text.to_owned()));
    }
    let list: Vec<String> = text.split(',').map(|label| label.trim().to_owned()).collect();
    if list.iter().any(String::is_empty) {
        return Err("a label between the commas is empty".into());
    }
    Ok(LabelsConfig::List(list))
}

fn input(text: &str) -> Result<InputConfig, String> {
    let input: InputConfig = serde_json::from_str(text).map_err(|e| e.to_string())?;
    match input.faults().first() {
        None => Ok(input),
        Some((key, what, fix)) => Err(format!("{key}: {what}; {fix}")),
    }
}

fn fraction(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().map_err(|_| "it is no number; write one from 0 to 1, such as 0.4")?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("it must be from 0 to 1".into()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::inference::{PerChannel, Resize};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        model: ModelArgs,
    }

    fn config(line: &str) -> Result<ModelConfig, String> {
        let words = std::iter::once("x").chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.model.config()).map_err(|e| e.to_string())
    }

    #[test]
    fn only_the_model_need_be_named_and_the_rest_is_the_configurations_default() {
        assert_eq!(config("--model a.onnx").unwrap(), ModelConfig::new("a.onnx"));
        assert!(config("").unwrap_err().contains("--model"));
    }

    #[test]
    fn every_option_reaches_the_configuration() {
        let line = "-m a.onnx --family yolox --labels car,person --confidence 0.1 --iou 0.6 --class-agnostic-nms \
             --input {\"resize\":\"stretch\",\"std\":[1,2,3]} --device cuda,cpu --threads 3";
        let wanted = ModelConfig {
            family: FamilyChoice::Yolox,
            labels: Some(LabelsConfig::List(vec!["car".into(), "person".into()])),
            confidence: 0.1,
            iou: 0.6,
            class_agnostic_nms: true,
            input: InputConfig {
                resize: Some(Resize::Stretch),
                std: Some(PerChannel::Each([1.0, 2.0, 3.0])),
                ..InputConfig::default()
            },
            device: Devices::Several(vec![Device::Cuda, Device::Cpu]),
            threads: 3,
            ..ModelConfig::new("a.onnx")
        };
        assert_eq!(config(line).unwrap(), wanted);
        assert_eq!(config("-m a --labels coco").unwrap().labels, Some(LabelsConfig::Named("coco".into())));
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_known_ones() {
        for (line, words) in [
            ("-m a --family yolox9", "values: auto, yolo"),
            ("-m a --device gpu", "cpu, cuda"),
            ("-m a --confidence 40", "from 0 to 1"),
            ("-m a --confidence high", "no number"),
            ("-m a --labels a,,b", "empty"),
            ("-m a --threads 0", "1..=256"),
            ("-m a --input {\"std\":0}", "values above 0"),
            ("-m a --input {\"scale\":2}", "unknown field `scale`"),
            ("-m a --input stretch", "expected value"),
        ] {
            let error = config(line).unwrap_err();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
