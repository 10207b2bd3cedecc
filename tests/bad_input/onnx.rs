//! ONNX files for tests: the handful of protobuf messages (`onnx.proto3`) that a graph with given inputs and constant
//! outputs takes. Numbers are the fields' in that file.

/// `TensorProto.DataType`
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const INT64: u64 = 7;

/// A model whose outputs are zeros of the given shapes, whatever comes in.
#[derive(Default)]
pub struct Model {
    inputs: Vec<Vec<u8>>,
    outputs: Vec<(String, Vec<i64>)>,
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

    pub fn output(mut self, name: &str, shape: &[i64]) -> Self {
        self.outputs.push((name.into(), shape.to_vec()));
        self
    }

    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// A `ModelProto`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = text(2, "made by a test");
        for (name, shape) in &self.outputs {
            let sizes = format!("{name}_shape");
            let node = [text(1, &sizes), text(2, name), text(4, "ConstantOfShape")].concat();
            let dims: Vec<u8> = shape.iter().flat_map(|side| side.to_le_bytes()).collect();
            let initializer =
                [number(1, shape.len() as u64), number(2, INT64), text(8, &sizes), message(9, &dims)].concat();
            graph.extend([message(1, &node), message(5, &initializer)].concat());
        }
        graph.extend(self.inputs.iter().flat_map(|input| message(11, input)));
        graph.extend(self.outputs.iter().flat_map(|(name, shape)| message(12, &value_info(name, FLOAT, shape))));
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
