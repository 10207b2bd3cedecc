//! What stands in a model file's way: weights that are listed among the graph's inputs.
//!
//! Exporters of ONNX's first years wrote every initialiser (a weight, a constant) into the list of inputs too, which said that
//! a caller may give another value. Nobody does, but ONNX Runtime must reckon with it, and neither folds such constants nor
//! merges the layers around them: the same model runs up to three times as long. Taken off the list they are what they were
//! meant to be. See `GraphProto` in ONNX's `onnx.proto`.

use std::collections::HashSet;
use std::io::{self, BufRead, Seek};

use super::wire::{Value, Wire};

/// Field numbers of `onnx.proto`.
mod model {
    pub const IR_VERSION: u64 = 1;
    pub const GRAPH: u64 = 7;
    pub const FUNCTIONS: u64 = 25;
}
mod graph {
    pub const NODE: u64 = 1;
    pub const INITIALIZER: u64 = 5;
    pub const INPUT: u64 = 11;
    pub const SPARSE_INITIALIZER: u64 = 15;
}
mod node {
    pub const ATTRIBUTE: u64 = 5;
}
mod function {
    pub const NODE: u64 = 7;
}
mod attribute {
    pub const TENSOR: u64 = 5;
    pub const GRAPH: u64 = 6;
    pub const TENSORS: u64 = 10;
    pub const GRAPHS: u64 = 11;
}
mod tensor {
    pub const NAME: u64 = 8;
    pub const DATA_LOCATION: u64 = 14;
    pub const EXTERNAL: u64 = 1;
}
mod value_info {
    pub const NAME: u64 = 1;
}

/// The tag of an input in a graph, and the tag that makes of the same message a remark on a value's type (`value_info`): both
/// are `ValueInfoProto`, so one byte takes an input off the list, and nothing else of the file moves.
const INPUT_TAG: u8 = 11 << 3 | 2;
const REMARK_TAG: u8 = 13 << 3 | 2;
/// Before this version of the format initialisers had to be listed, and the runtime takes them for constants all the same.
const FIRST_OPEN: u64 = 4;
/// Names are a few words long.
const LONGEST_NAME: usize = 1 << 16;
/// Graphs lie in attributes of nodes of graphs; nobody nests them deeper.
const DEEPEST: u32 = 32;

/// What a walk through a model found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Where the tags of those inputs stand that are initialisers.
    listed: Vec<u64>,
    /// Whether weights lie in other files.
    pub external: bool,
}

impl Survey {
    /// Walks through a model of `length` bytes; `source` stands at its beginning.
    ///
    /// # Errors
    /// When it cannot be read, or is no ONNX.
    pub fn of(source: impl BufRead + Seek, length: u64) -> io::Result<Self> {
        let mut walk = Walk {
            wire: Wire::new(source),
            ir_version: 0,
            initialisers: HashSet::new(),
            inputs: Vec::new(),
            external: false,
        };
        walk.model(length)?;
        let Walk { ir_version, initialisers, inputs, external, .. } = walk;
        let mut listed = Vec::new();
        if ir_version >= FIRST_OPEN {
            let weights = inputs.into_iter().filter(|(_, name)| initialisers.contains(name));
            listed.extend(weights.map(|(tag, _)| tag));
        }
        Ok(Self { listed, external })
    }

    /// How many initialisers are listed as inputs.
    pub fn listed(&self) -> usize {
        self.listed.len()
    }

    /// Takes them off the list, in the bytes of the file that was walked through. Bytes that are others by now stay as they are.
    pub fn mend(&self, bytes: &mut [u8]) {
        for &tag in &self.listed {
            let byte = usize::try_from(tag).ok().and_then(|tag| bytes.get_mut(tag));
            if let Some(byte) = byte.filter(|byte| **byte == INPUT_TAG) {
                *byte = REMARK_TAG;
            }
        }
    }
}

struct Walk<R> {
    wire: Wire<R>,
    ir_version: u64,
    initialisers: HashSet<Vec<u8>>,
    /// Place of the tag, and name.
    inputs: Vec<(u64, Vec<u8>)>,
    external: bool,
}

impl<R: BufRead + Seek> Walk<R> {
    fn model(&mut self, end: u64) -> io::Result<()> {
        while let Some(field) = self.wire.field(end)? {
            match (field.number, field.value) {
                (model::IR_VERSION, Value::Number(version)) => self.ir_version = version,
                (model::GRAPH, Value::Until(end)) => self.graph(end, 0)?,
                (model::FUNCTIONS, Value::Until(end)) => self.nodes(end, function::NODE, 0)?,
                (_, Value::Until(end)) => self.wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Only the outermost graph (`depth` 0) has inputs and initialisers that a caller might set.
    fn graph(&mut self, end: u64, depth: u32) -> io::Result<()> {
        while let Some(field) = self.wire.field(end)? {
            let Value::Until(end) = field.value else { continue };
            match field.number {
                graph::NODE => self.node(end, depth)?,
                graph::INITIALIZER => {
                    let name = self.tensor(end)?;
                    self.initialisers.extend(name.filter(|_| depth == 0));
                }
                graph::INPUT if depth == 0 => {
                    let name = self.named(end, value_info::NAME)?;
                    self.inputs.extend(name.map(|name| (field.tag, name)));
                }
                // Their parts may lie elsewhere as well; so rare that it is not worth to look.
                graph::SPARSE_INITIALIZER => {
                    self.external = true;
                    self.wire.skip_to(end)?;
                }
                _ => self.wire.skip_to(end)?,
            }
        }
        Ok(())
    }

    fn nodes(&mut self, end: u64, number: u64, depth: u32) -> io::Result<()> {
        while let Some(field) = self.wire.field(end)? {
            match field.value {
                Value::Until(end) if field.number == number => self.node(end, depth)?,
                Value::Until(end) => self.wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, end: u64, depth: u32) -> io::Result<()> {
        if depth >= DEEPEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "graphs lie too deep in one another"));
        }
        while let Some(field) = self.wire.field(end)? {
            match field.value {
                Value::Until(end) if field.number == node::ATTRIBUTE => self.attribute(end, depth)?,
                Value::Until(end) => self.wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(&mut self, end: u64, depth: u32) -> io::Result<()> {
        while let Some(field) = self.wire.field(end)? {
            let Value::Until(end) = field.value else { continue };
            match field.number {
                attribute::TENSOR | attribute::TENSORS => drop(self.tensor(end)?),
                attribute::GRAPH | attribute::GRAPHS => self.graph(end, depth + 1)?,
                _ => self.wire.skip_to(end)?,
            }
        }
        Ok(())
    }

    /// Its name.
    fn tensor(&mut self, end: u64) -> io::Result<Option<Vec<u8>>> {
        let mut name = None;
        while let Some(field) = self.wire.field(end)? {
            match (field.number, field.value) {
                (tensor::NAME, Value::Until(end)) => name = Some(self.wire.bytes_to(end, LONGEST_NAME)?),
                (tensor::DATA_LOCATION, Value::Number(tensor::EXTERNAL)) => self.external = true,
                (_, Value::Until(end)) => self.wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(name)
    }

    fn named(&mut self, end: u64, number: u64) -> io::Result<Option<Vec<u8>>> {
        let mut name = None;
        while let Some(field) = self.wire.field(end)? {
            match field.value {
                Value::Until(end) if field.number == number => name = Some(self.wire.bytes_to(end, LONGEST_NAME)?),
                Value::Until(end) => self.wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    fn weight(name: &str, external: bool) -> Vec<u8> {
        let place = if external { &[14 << 3, 1][..] } else { &[] };
        field(5, &[&field(8, name.as_bytes()), place].concat())
    }

    fn input(name: &str) -> Vec<u8> {
        field(11, &field(1, name.as_bytes()))
    }

    fn model(version: u8, graph: &[Vec<u8>]) -> Vec<u8> {
        [&[1 << 3, version][..], &field(7, &graph.concat())].concat()
    }

    fn survey(bytes: &[u8]) -> io::Result<Survey> {
        Survey::of(Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn initialisers_are_taken_off_the_list_and_inputs_stay() {
        let list = [weight("w", false), input("picture"), input("w"), weight("v", false), input("v")];
        let mut bytes = model(7, &list);
        let found = survey(&bytes).unwrap();
        assert_eq!((found.listed(), found.external), (2, false));
        found.mend(&mut bytes);
        let remark = |name: &str| field(13, &field(1, name.as_bytes()));
        let wanted = [weight("w", false), input("picture"), remark("w"), weight("v", false), remark("v")];
        assert_eq!(bytes, model(7, &wanted));
        assert_eq!(survey(&bytes).unwrap().listed(), 0, "nothing is left to mend");
    }

    #[test]
    fn what_the_first_version_demands_stays() {
        assert_eq!(survey(&model(3, &[weight("w", false), input("w")])).unwrap().listed(), 0);
    }

    #[test]
    fn inputs_of_a_branch_are_its_own() {
        let branch = field(6, &[weight("w", true), input("w")].concat());
        let bytes = model(8, &[field(1, &field(5, &branch)), input("w")]);
        let found = survey(&bytes).unwrap();
        assert_eq!((found.listed(), found.external), (0, true), "weights of a branch may lie in other files too");
    }

    #[test]
    fn graphs_without_end_are_refused() {
        let mut graph = Vec::new();
        for _ in 0..40 {
            // Two bytes of length each: the fields above are short.
            let wrap = |tag: u8, inner: &[u8]| {
                let n = inner.len();
                [&[tag << 3 | 2, 0x80 | u8::try_from(n & 0x7f).unwrap(), u8::try_from(n >> 7).unwrap()], inner].concat()
            };
            graph = wrap(1, &wrap(5, &wrap(6, &graph)));
        }
        let mut bytes =
            vec![7 << 3 | 2, 0x80 | u8::try_from(graph.len() & 0x7f).unwrap(), u8::try_from(graph.len() >> 7).unwrap()];
        bytes.extend(&graph);
        assert!(survey(&bytes).unwrap_err().to_string().contains("too deep"));
    }

    #[test]
    fn no_file_makes_it_panic() {
        let whole = model(7, &[weight("w", true), input("w"), field(1, &field(5, &field(6, &weight("v", false))))]);
        let mut random = fastrand::Rng::with_seed(3);
        let mut broken = 0;
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            match survey(&bytes) {
                Ok(found) => found.mend(&mut bytes),
                Err(_) => broken += 1,
            }
        }
        assert!(broken > 1000, "{broken}");
    }
}
