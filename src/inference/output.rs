//! A model's outputs as families read them: names, shapes, and values as f32 whatever the model's own type.

use half::f16;
use ort::session::SessionOutputs;
use ort::value::{DynValue, PrimitiveTensorElementType, ValueType};

use super::facts::Element;

/// One output of one run.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    pub name: &'a str,
    /// Of a model with a fixed batch, the first picture's part.
    pub shape: &'a [i64],
    /// Row-major.
    pub values: &'a [f32],
}

impl<'a> Output<'a> {
    /// What picture `at` of `count` gave, and the shape of that.
    pub fn part<'b>(&self, at: usize, count: usize, shape: &'b [i64]) -> Output<'b>
    where
        'a: 'b,
    {
        let length = self.values.len() / count;
        let values = self.values.get(at * length..(at + 1) * length).unwrap_or_default();
        Output { name: self.name, shape, values }
    }
}

/// The values of output `at`, which are to be `length` many.
///
/// # Errors
/// When there are more or fewer: the model does not keep to the shape it was recognised by.
pub fn values<'a>(outputs: &[Output<'a>], at: usize, length: usize) -> Result<&'a [f32], String> {
    let output = outputs.get(at).ok_or_else(|| format!("output {at} is missing"))?;
    if output.values.len() == length {
        Ok(output.values)
    } else {
        Err(format!("output {} has {} values now, {length} when it was loaded", output.name, output.values.len()))
    }
}

/// Whether an output has more values that are no number than that are.
pub fn no_numbers(values: &[f32]) -> bool {
    // Counted part by part, not searched: that is quicker than to stop at each, and a single one proves nothing. Half of them
    // being numbers says all.
    let mut numbers = 0;
    for part in values.chunks(4096) {
        numbers += part.iter().map(|value| usize::from(!value.is_nan())).sum::<usize>();
        if 2 * numbers >= values.len() {
            return false;
        }
    }
    2 * numbers < values.len()
}

/// What is kept of an output from run to run, so that values are never allocated anew.
#[derive(Debug)]
pub struct Kept {
    name: String,
    shape: Vec<i64>,
    /// Values of another type than f32, converted.
    converted: Vec<f32>,
}

impl Kept {
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), shape: Vec::new(), converted: Vec::new() }
    }
}

/// Views of the outputs; `batch` is the model's fixed batch, of which only the first is asked for.
pub fn views<'a>(
    outputs: &'a SessionOutputs<'_>,
    kept: &'a mut [Kept],
    batch: usize,
) -> Result<Vec<Output<'a>>, ort::Error> {
    let mut views = Vec::with_capacity(kept.len());
    for (at, kept) in kept.iter_mut().enumerate() {
        let value = &outputs[at];
        kept.shape.clear();
        let (element, shape) = match value.dtype() {
            ValueType::Tensor { ty, shape, .. } if Element::from(*ty) != Element::Other => (Element::from(*ty), shape),
            _ => {
                // No numbers: a shape without values would promise too much.
                views.push(Output { name: &kept.name, shape: &kept.shape, values: &[] });
                continue;
            }
        };
        kept.shape.extend_from_slice(shape);
        // An empty tensor has no memory to look at.
        let all: &[f32] = if shape.contains(&0) {
            &[]
        } else if element == Element::F32 {
            value.try_extract_tensor::<f32>()?.1
        } else {
            convert(value, element, &mut kept.converted)?;
            &kept.converted
        };
        let mut values = all;
        if batch > 1 && kept.shape.first().is_some_and(|&first| usize::try_from(first) == Ok(batch)) {
            kept.shape[0] = 1;
            values = all.get(..all.len() / batch).unwrap_or_default();
        }
        views.push(Output { name: &kept.name, shape: &kept.shape, values });
    }
    Ok(views)
}

/// The type of an output's values.
pub fn element(value: &DynValue) -> Element {
    match value.dtype() {
        ValueType::Tensor { ty, .. } => (*ty).into(),
        _ => Element::Other,
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "class numbers and pixels are small")]
fn convert(value: &DynValue, element: Element, into: &mut Vec<f32>) -> Result<(), ort::Error> {
    fn fill<T: PrimitiveTensorElementType + Copy>(
        value: &DynValue,
        into: &mut Vec<f32>,
        to: impl Fn(T) -> f32,
    ) -> Result<(), ort::Error> {
        into.clear();
        into.extend(value.try_extract_tensor::<T>()?.1.iter().map(|&v| to(v)));
        Ok(())
    }
    match element {
        Element::F32 => fill::<f32>(value, into, |v| v),
        Element::F16 => fill::<f16>(value, into, f16::to_f32),
        Element::F64 => fill::<f64>(value, into, |v| v as f32),
        Element::I8 => fill::<i8>(value, into, f32::from),
        Element::U8 => fill::<u8>(value, into, f32::from),
        Element::I16 => fill::<i16>(value, into, f32::from),
        Element::U16 => fill::<u16>(value, into, f32::from),
        Element::I32 => fill::<i32>(value, into, |v| v as f32),
        Element::U32 => fill::<u32>(value, into, |v| v as f32),
        Element::I64 => fill::<i64>(value, into, |v| v as f32),
        Element::U64 => fill::<u64>(value, into, |v| v as f32),
        Element::Bool => fill::<bool>(value, into, |v| f32::from(u8::from(v))),
        Element::Other => {
            into.clear();
            Ok(())
        }
    }
}
