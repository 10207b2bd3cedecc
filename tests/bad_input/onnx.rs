//! ONNX files for tests: the handful of protobuf messages (`onnx.proto3`) that a graph with given inputs and constant
//! outputs takes. Numbers are the fields' in that file.

/// `TensorProto.DataType`
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const INT64: u64 = 7;
pub const FLOAT16: u64 = 10;

/// What an output holds.
pub enum Constant {
    All(f32),
    Values(Vec<f32>),
    /// The values of the input of this name.
    Mirror(String),
}

/// A model whose outputs are constants of the given shapes (zeros, if nothing else is said), whatever comes in.
#[derive(Default)]
pub struct Model {
    inputs: Vec<Vec<u8>>,
    outputs: Vec<(String, Vec<i64>, Constant)>,
    metadata: Vec<(String, String)>,
}

impl Model {
    /// `images`, float32.
    pub fn new(shape: [i64; 4]) -> Self {
        Self::default().input("images", FLOAT, &shape)
    }

    /// -1 is an open side.
    pub fn input(mut self, name: &str, kind: u64, shape: &[i64]) -> Self {
        self.inputs.push(value_info(name, kind, shape));
        self
    }

    pub fn output(self, name: &str, shape: &[i64]) -> Self {
        self.constant(name, shape, Constant::All(0.0))
    }

    pub fn constant(mut self, name: &str, shape: &[i64], constant: Constant) -> Self {
        self.outputs.push((name.into(), shape.to_vec(), constant));
        self
    }

    /// An output that is the picture itself, its values as they come.
    pub fn mirror(self, name: &str, shape: &[i64], input: &str) -> Self {
        self.constant(name, shape, Constant::Mirror(input.into()))
    }

    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// A `ModelProto`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = text(2, "made by a test");
        for (name, shape, constant) in &self.outputs {
            let raw = |sides: &[i64]| sides.iter().flat_map(|side| side.to_le_bytes()).collect::<Vec<u8>>();
            let tensor = |name: &str, shape: &[i64], kind: u64, raw: &[u8]| {
                let sides: Vec<u8> = shape.iter().flat_map(|&side| number(1, u64::try_from(side).unwrap())).collect();
                [sides, number(2, kind), text(8, name), message(9, raw)].concat()
            };
            let other = format!("{name}_from");
            let node = match constant {
                Constant::All(value) => {
                    graph.extend(message(
                        5,
                        &tensor(&other, &[i64::try_from(shape.len()).unwrap()], INT64, &raw(shape)),
                    ));
                    let value = message(5, &tensor("", &[1], FLOAT, &value.to_le_bytes()));
                    let attribute = [text(1, "value"), value, number(20, 4)].concat();
                    [text(1, &other), text(2, name), text(4, "ConstantOfShape"), message(5, &attribute)].concat()
                }
                Constant::Values(values) => {
                    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    graph.extend(message(5, &tensor(&other, shape, FLOAT, &bytes)));
                    [text(1, &other), text(2, name), text(4, "Identity")].concat()
                }
                Constant::Mirror(input) => {
                    graph.extend(message(
                        5,
                        &tensor(&other, &[i64::try_from(shape.len()).unwrap()], INT64, &raw(shape)),
                    ));
                    [text(1, input), text(1, &other), text(2, name), text(4, "Reshape")].concat()
                }
            };
            graph.extend(message(1, &node));
        }
        graph.extend(self.inputs.iter().flat_map(|input| message(11, input)));
        graph.extend(self.outputs.iter().flat_map(|(name, shape, _)| message(12, &value_info(name, FLOAT, shape))));
        let opset = number(2, 13);
        let mut model = [number(1, 8), message(7, &graph), message(8, &opset)].concat();
        for (key, value) in &self.metadata {
            model.extend(message(14, &[text(1, key), text(2, value)].concat()));
        }
        model
    }
}

fn value_info(name: &str, kind: u64, shape: &[i64]) -> Vec<u8> {
    let dimension = |&side: &i64| match u64::try_from(side) {
        Ok(side) => message(1, &number(1, side)),
        Err(_) => message(1, &text(2, "open")),
    };
    let shape: Vec<u8> = shape.iter().flat_map(dimension).collect();
    let tensor = [number(1, kind), message(2, &shape)].concat();
    [text(1, name), message(2, &message(1, &tensor))].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn message(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn text(field: u64, text: &str) -> Vec<u8> {
    message(field, text.as_bytes())
}
