//! What is known of a model once it ran on a trial picture: what its family is recognised by.

use std::collections::BTreeMap;
use std::fmt;

use ort::value::TensorElementType;

/// The type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F16,
    F32,
    F64,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    Bool,
    /// Strings, sequences, maps: nothing a detector's numbers are in.
    Other,
}

impl From<TensorElementType> for Element {
    fn from(kind: TensorElementType) -> Self {
        match kind {
            TensorElementType::Float16 => Self::F16,
            TensorElementType::Float32 => Self::F32,
            TensorElementType::Float64 => Self::F64,
            TensorElementType::Int8 => Self::I8,
            TensorElementType::Uint8 => Self::U8,
            TensorElementType::Int16 => Self::I16,
            TensorElementType::Uint16 => Self::U16,
            TensorElementType::Int32 => Self::I32,
            TensorElementType::Uint32 => Self::U32,
            TensorElementType::Int64 => Self::I64,
            TensorElementType::Uint64 => Self::U64,
            TensorElementType::Bool => Self::Bool,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F16 => "float16",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::I16 => "int16",
            Self::U16 => "uint16",
            Self::I32 => "int32",
            Self::U32 => "uint32",
            Self::I64 => "int64",
            Self::U64 => "uint64",
            Self::Bool => "bool",
            Self::Other => "no numbers",
        })
    }
}

/// An input, as the file declares it; -1 is an open side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub name: String,
    pub element: Element,
    pub shape: Vec<i64>,
}

/// An output of the trial run: its true shape, and its values as f32.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialOutput {
    pub name: String,
    pub element: Element,
    /// Without open sides; of a model with a fixed batch, the first picture's part.
    pub shape: Vec<i64>,
    pub values: Vec<f32>,
}

/// What a family recognises its models by. The trial picture is plain grey.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The picture's size in the trial run, which is the model's input size from then on.
    pub width: u32,
    pub height: u32,
    pub inputs: Vec<Slot>,
    pub outputs: Vec<TrialOutput>,
    pub metadata: BTreeMap<String, String>,
}

impl Facts {
    /// The shapes of the outputs, in their order.
    pub fn shapes(&self) -> Vec<&[i64]> {
        self.outputs.iter().map(|output| output.shape.as_slice()).collect()
    }

    /// The output whose name is one of these, in any case: exporters agree on words, not on capitals.
    pub fn output(&self, names: &[&str]) -> Option<(usize, &TrialOutput)> {
        self.outputs.iter().enumerate().find(|(_, o)| names.iter().any(|name| o.name.eq_ignore_ascii_case(name)))
    }

    /// Cells of the feature maps of these strides, a map's odd sides rounded down.
    pub fn cells(&self, strides: &[u32]) -> i64 {
        strides.iter().map(|s| i64::from(self.width / s) * i64::from(self.height / s)).sum()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.name, self.element, sides(&self.shape))
    }
}

/// Inputs and outputs, one a line.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = self.inputs.iter().map(|slot| format!("  input {slot}"));
        let outputs = self.outputs.iter().map(|o| format!("  output {}: {} {}", o.name, o.element, sides(&o.shape)));
        f.write_str(&inputs.chain(outputs).collect::<Vec<_>>().join("\n"))
    }
}

/// `[1, 3, ?, ?]`
fn sides(shape: &[i64]) -> String {
    let sides = shape.iter().map(|&side| if side < 0 { "?".into() } else { side.to_string() });
    format!("[{}]", sides.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
impl Facts {
    /// Facts for a family's test: one float32 input, and outputs to be added.
    pub fn of(width: u32, height: u32) -> Self {
        let shape = vec![1, 3, i64::from(height), i64::from(width)];
        let input = Slot { name: "images".into(), element: Element::F32, shape };
        Self { width, height, inputs: vec![input], ..Self::default() }
    }

    /// An output of zeros.
    pub fn with(mut self, name: &str, shape: &[i64]) -> Self {
        let length = usize::try_from(shape.iter().product::<i64>()).unwrap();
        let values = vec![0.0; length];
        self.outputs.push(TrialOutput { name: name.into(), element: Element::F32, shape: shape.to_vec(), values });
        self
    }
}
