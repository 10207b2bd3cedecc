//! What a model is fed with: the picture, and the small constants that some exports ask for beside it.

use std::collections::BTreeMap;

use ort::value::{DynValue, PrimitiveTensorElementType, Tensor};

use super::config::InputConfig;
use super::facts::{Element, Slot};
use super::spec::Layout;

/// Side of the input where the model leaves it open, and neither its metadata nor the configuration says it.
const OPEN_SIDE: i64 = 640;
const SIDES: std::ops::RangeInclusive<i64> = 1..=8192;
/// More pictures a run are a mistake, not a batch.
const BATCHES: std::ops::RangeInclusive<i64> = 1..=256;
/// Pixels of all pictures of a run: as float32 they take 1.5 GiB. A file may ask for a hundred times that.
pub const MOST_PIXELS: usize = 1 << 27;

/// The input that takes the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub name: String,
    pub element: Element,
    pub layout: Layout,
    pub width: u32,
    pub height: u32,
    /// Pictures a run, where the model fixes their number; only the first is a picture, the rest is empty.
    pub batch: usize,
    /// The tensor's sides.
    pub sides: Vec<usize>,
    /// Whether the model leaves width or height open.
    pub open: bool,
    /// Whether it leaves the number of pictures open.
    pub open_batch: bool,
}

impl Picture {
    /// The input of a run of so many pictures, where the model leaves that open.
    #[must_use]
    pub fn times(&self, batch: usize) -> Self {
        let mut several = Self { batch, ..self.clone() };
        if let Some(first) = several.sides.first_mut() {
            *first = batch;
        }
        several
    }
}

/// What the inputs beside the picture may be, told by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extra {
    /// RT-DETR, D-FINE, DEIM: width and height that boxes are scaled to. The input's own, so that boxes come in its pixels.
    TargetSizes,
    /// `PaddleDetection`: height and width of the input.
    ImageShape,
    /// `PaddleDetection`: the input's size by the picture's. One, so that boxes come in the input's pixels.
    ScaleFactor,
    /// DETR of Hugging Face: which pixels are picture. All.
    PixelMask,
}

/// Names of the extra inputs, in any case, for the message.
pub const EXTRAS: &str = "orig_target_sizes, im_shape, scale_factor, pixel_mask";

impl Extra {
    fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "orig_target_sizes" | "orig_target_size" | "target_sizes" | "orig_sizes" | "orig_size" => {
                Some(Self::TargetSizes)
            }
            "im_shape" => Some(Self::ImageShape),
            "scale_factor" => Some(Self::ScaleFactor),
            "pixel_mask" => Some(Self::PixelMask),
            _ => None,
        }
    }
}

/// Finds the picture input and settles its size.
///
/// # Errors
/// Why the inputs are not understood.
pub fn picture(slots: &[Slot], metadata: &BTreeMap<String, String>, config: &InputConfig) -> Result<Picture, String> {
    let pictures: Vec<&Slot> = slots.iter().filter(|slot| Extra::named(&slot.name).is_none()).collect();
    let slot = match pictures.as_slice() {
        [one] => *one,
        [] => return Err("no input takes a picture".into()),
        several => {
            let shaped: Vec<&&Slot> = several.iter().filter(|slot| layout(&slot.shape).is_some()).collect();
            let strange = several.iter().find(|slot| layout(&slot.shape).is_none());
            return Err(match (shaped.as_slice(), strange) {
                ([_], Some(other)) => format!(
                    "beside the picture it wants `{}`, which nothing here can give; known are {EXTRAS}",
                    other.name
                ),
                _ => format!("one picture input is expected, this model has {}", several.len()),
            });
        }
    };
    if !matches!(slot.element, Element::F32 | Element::F16 | Element::U8) {
        return Err(format!("float32, float16 or uint8 is expected, `{}` takes {}", slot.name, slot.element));
    }
    let shape = slot.shape.as_slice();
    let (layout, batch, height, width) = layout(shape).ok_or(
        "the shape [batch, 3, height, width] or [batch, height, width, 3] is expected: three channels, blue, green and red",
    )?;
    let open_batch = batch == -1;
    let batch = if open_batch { 1 } else { batch };
    if !BATCHES.contains(&batch) {
        return Err(format!("a batch of {batch} pictures; export the model with a batch of one, or an open batch"));
    }
    let open = width == -1 || height == -1;
    let (width, height) = size((width, height), metadata, config)?;
    let (w, h) = (width as usize, height as usize);
    let batch = usize::try_from(batch).unwrap_or(1);
    if batch * w * h > MOST_PIXELS {
        return Err(format!("{batch} pictures of {w}x{h} a run are too many pixels; export it with a batch of one"));
    }
    let mut sides = match layout {
        Layout::Nchw => vec![batch, 3, h, w],
        Layout::Nhwc => vec![batch, h, w, 3],
    };
    if shape.len() == 3 {
        sides.remove(0);
    }
    Ok(Picture {
        name: slot.name.clone(),
        element: slot.element,
        layout,
        width,
        height,
        batch,
        sides,
        open,
        open_batch,
    })
}

/// Layout, batch, height and width of a picture's shape; -1 is open.
fn layout(shape: &[i64]) -> Option<(Layout, i64, i64, i64)> {
    match *shape {
        [batch, 3, height, width] => Some((Layout::Nchw, batch, height, width)),
        [batch, height, width, 3] => Some((Layout::Nhwc, batch, height, width)),
        // Everything open: planes, as nearly every export has.
        [batch, -1, height, width] => Some((Layout::Nchw, batch, height, width)),
        [3, height, width] => Some((Layout::Nchw, 1, height, width)),
        [height, width, 3] => Some((Layout::Nhwc, 1, height, width)),
        _ => None,
    }
}

fn size(
    (width, height): (i64, i64),
    metadata: &BTreeMap<String, String>,
    config: &InputConfig,
) -> Result<(u32, u32), String> {
    let said = metadata.get("imgsz").and_then(|text| {
        let sides: Vec<u32> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        // Height comes first there.
        sides.first().map(|&h| (i64::from(sides.get(1).copied().unwrap_or(h)), i64::from(h)))
    });
    let asked = config.size.map(|[w, h]| (i64::from(w), i64::from(h)));
    let (open_w, open_h) = asked.or(said).unwrap_or((OPEN_SIDE, OPEN_SIDE));
    let side = |declared: i64, open: i64| {
        let n = if declared == -1 { open } else { declared };
        // The metadata is the model maker's: it is believed within the same limits.
        let fits = u32::try_from(n).ok().filter(|_| SIDES.contains(&n));
        fits.ok_or_else(|| format!("a side of {n} pixels; {} to {} can be used", SIDES.start(), SIDES.end()))
    };
    let size = (side(width, open_w)?, side(height, open_h)?);
    match asked {
        Some((w, h)) if (i64::from(size.0), i64::from(size.1)) != (w, h) => Err(format!(
            "`input.size` asks for {w}x{h}, but the model is made for {}x{}; remove `size`, or export the model with open sides",
            size.0, size.1
        )),
        _ => Ok(size),
    }
}

/// The constants for the inputs beside the picture: the same for every frame.
///
/// # Errors
/// When one is of a type or shape that its name does not promise.
pub fn constants(slots: &[Slot], picture: &Picture) -> Result<Vec<(String, DynValue)>, String> {
    let extras = slots.iter().filter_map(|slot| Extra::named(&slot.name).map(|extra| (slot, extra)));
    extras.map(|(slot, extra)| Ok((slot.name.clone(), constant(slot, extra, picture)?))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "sides are at most 8192")]
fn constant(slot: &Slot, extra: Extra, picture: &Picture) -> Result<DynValue, String> {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let one = match extra {
        Extra::TargetSizes => vec![width, height],
        Extra::ImageShape => vec![height, width],
        Extra::ScaleFactor => vec![1.0, 1.0],
        Extra::PixelMask => vec![1.0; picture.width as usize * picture.height as usize],
    };
    let whole = match extra {
        Extra::PixelMask => vec![picture.batch, picture.height as usize, picture.width as usize],
        _ => vec![picture.batch, 2],
    };
    let open = |(&declared, &side): (&i64, &usize)| declared == -1 || usize::try_from(declared) == Ok(side);
    let shape = if slot.shape.len() == whole.len() && slot.shape.iter().zip(&whole).all(open) {
        whole
    } else if slot.shape.len() + 1 == whole.len() && slot.shape.iter().zip(&whole[1..]).all(open) {
        whole[1..].to_vec()
    } else {
        return Err(format!("`{}` is of another shape than its name promises: {slot}", slot.name));
    };
    let times = shape.iter().product::<usize>() / one.len();
    let values = one.repeat(times);
    let made = match slot.element {
        Element::F32 => tensor(shape, values),
        Element::F16 => tensor(shape, values.into_iter().map(half::f16::from_f32).collect()),
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers up to 8192")]
        Element::I64 => tensor(shape, values.into_iter().map(|v| v as i64).collect()),
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers up to 8192")]
        Element::I32 => tensor(shape, values.into_iter().map(|v| v as i32).collect()),
        Element::Bool => tensor(shape, values.into_iter().map(|v| v != 0.0).collect()),
        other => return Err(format!("`{}` takes {other}, which nothing here can give", slot.name)),
    };
    made.map_err(|e| e.to_string())
}

fn tensor<T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static>(
    shape: Vec<usize>,
    values: Vec<T>,
) -> Result<DynValue, ort::Error> {
    Ok(Tensor::from_array((shape, values))?.into_dyn())
}
