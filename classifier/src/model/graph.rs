//! What a graph may be. tract indexes with ids from the file, so nothing reaches it that is not a
//! small network of the few operators our models have.

use std::collections::HashMap;

use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::{
    self, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto,
};

use crate::features;

/// Name of the input: [batch, features].
pub(super) const INPUT: &str = "features";
/// Names of the outputs, each [batch, n].
pub(super) const OUTPUTS: [&str; 3] = ["types", "roles", "place"];

const NODES_MAX: usize = 64;
const NUMBERS_MAX: usize = 1 << 20;
const OPSETS: std::ops::RangeInclusive<i64> = 13..=18;
const FLOAT: i32 = pb::tensor_proto::DataType::Float as i32;

/// What a graph may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphFault {
    /// The bytes are no graph.
    #[error("it cannot be read")]
    Unreadable,
    /// An operator that is not on the list.
    #[error("operator `{0}` is not allowed")]
    Operator(String),
    /// An attribute: our operators have none.
    #[error("attribute `{0}` is not allowed")]
    Attribute(String),
    /// A tensor of another kind or size than it says.
    #[error("tensor `{0}` is not a matrix or vector of 32-bit floats held in the file")]
    Tensor(String),
    /// A name that stands for nothing, or for two things.
    #[error("`{0}` is used before it is made, or made twice")]
    Name(String),
    /// Operands that do not fit.
    #[error("the shapes at `{0}` do not fit")]
    Shape(String),
    /// Input or output are not those of our models.
    #[error("input or output `{0}` is missing or of another shape")]
    Interface(String),
    /// Too large.
    #[error("it has more than {NODES_MAX} operations or {NUMBERS_MAX} numbers")]
    Size,
    /// What only a dishonest model has: functions, training, other operator sets.
    #[error("it has {0}")]
    Extra(&'static str),
}

/// Checks a whole model. `outputs` are the widths of [`OUTPUTS`].
pub(super) fn check(model: &ModelProto, outputs: [usize; 3]) -> Result<(), GraphFault> {
    if !model.functions.is_empty() {
        return Err(GraphFault::Extra("functions"));
    }
    if !model.training_info.is_empty() {
        return Err(GraphFault::Extra("training"));
    }
    let [set] = model.opset_import.as_slice() else {
        return Err(GraphFault::Extra("several operator sets"));
    };
    if !set.domain.is_empty() || !OPSETS.contains(&set.version) {
        return Err(GraphFault::Extra("an unusual operator set"));
    }
    let graph = model.graph.as_ref().ok_or(GraphFault::Unreadable)?;
    if !graph.sparse_initializer.is_empty() || !graph.quantization_annotation.is_empty() {
        return Err(GraphFault::Extra("sparse or quantised tensors"));
    }
    if !graph.value_info.is_empty() {
        return Err(GraphFault::Extra("shapes of its own"));
    }
    check_graph(graph, outputs)
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A row of this width for each item of the batch.
    Rows(usize),
    Matrix(usize, usize),
    Vector(usize),
}

fn check_graph(graph: &GraphProto, outputs: [usize; 3]) -> Result<(), GraphFault> {
    let numbers = graph
        .initializer
        .iter()
        .map(|tensor| tensor.raw_data.len() / 4);
    if graph.node.len() > NODES_MAX || numbers.sum::<usize>() > NUMBERS_MAX {
        return Err(GraphFault::Size);
    }
    let mut names: HashMap<&str, Value> = HashMap::new();
    let mut define = |name, value| match names.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(GraphFault::Name(name.to_owned())),
    };
    for tensor in &graph.initializer {
        define(tensor.name.as_str(), constant(tensor)?)?;
    }
    let [input] = graph.input.as_slice() else {
        return Err(GraphFault::Interface(INPUT.to_owned()));
    };
    interface(input, INPUT, features::COUNT)?;
    define(INPUT, Value::Rows(features::COUNT))?;
    for node in &graph.node {
        let [output] = node.output.as_slice() else {
            return Err(GraphFault::Shape(node.name.clone()));
        };
        let value = result(node, &names)?;
        if names.insert(output, value).is_some() {
            return Err(GraphFault::Name(output.clone()));
        }
    }
    if graph.output.len() != OUTPUTS.len() {
        return Err(GraphFault::Interface("number of outputs".to_owned()));
    }
    for ((info, name), width) in graph.output.iter().zip(OUTPUTS).zip(outputs) {
        interface(info, name, width)?;
        if names.get(name) != Some(&Value::Rows(width)) {
            return Err(GraphFault::Interface(name.to_owned()));
        }
    }
    Ok(())
}

fn constant(tensor: &TensorProto) -> Result<Value, GraphFault> {
    let dims: Option<Vec<usize>> = tensor
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let (value, numbers) = match dims.as_deref() {
        Some(&[rows, columns]) => (Value::Matrix(rows, columns), rows.checked_mul(columns)),
        Some(&[len]) => (Value::Vector(len), Some(len)),
        _ => (Value::Vector(0), None),
    };
    let bytes = numbers.and_then(|numbers| numbers.checked_mul(4));
    let (words, _) = tensor.raw_data.as_chunks::<4>();
    let whole = bytes == Some(tensor.raw_data.len())
        && words
            .iter()
            .all(|&word| f32::from_le_bytes(word).is_finite());
    let elsewhere = tensor.data_location.unwrap_or_default() != 0
        || !tensor.external_data.is_empty()
        || tensor.segment.is_some();
    if tensor.data_type == FLOAT && whole && !elsewhere {
        Ok(value)
    } else {
        Err(GraphFault::Tensor(tensor.name.clone()))
    }
}

/// What an operation makes of what it is given.
fn result(node: &NodeProto, names: &HashMap<&str, Value>) -> Result<Value, GraphFault> {
    if !node.domain.is_empty() {
        return Err(GraphFault::Operator(format!(
            "{}.{}",
            node.domain, node.op_type
        )));
    }
    if let Some(attribute) = node.attribute.first() {
        return Err(GraphFault::Attribute(attribute.name.clone()));
    }
    let known = |name: &String| {
        let value = names.get(name.as_str()).copied();
        value.ok_or_else(|| GraphFault::Name(name.clone()))
    };
    let operands = node
        .input
        .iter()
        .map(known)
        .collect::<Result<Vec<_>, _>>()?;
    match (node.op_type.as_str(), operands.as_slice()) {
        ("MatMul", &[Value::Rows(width), Value::Matrix(rows, columns)]) if width == rows => {
            Ok(Value::Rows(columns))
        }
        ("Add", &[Value::Rows(width), Value::Vector(len)]) if width == len => {
            Ok(Value::Rows(width))
        }
        ("Relu", &[Value::Rows(width)]) => Ok(Value::Rows(width)),
        ("MatMul" | "Add" | "Relu", _) => Err(GraphFault::Shape(node.name.clone())),
        (other, _) => Err(GraphFault::Operator(other.to_owned())),
    }
}

/// Whether an input or output is a batch of rows of floats.
fn interface(info: &ValueInfoProto, name: &str, width: usize) -> Result<(), GraphFault> {
    let tensor = match info.r#type.as_ref().and_then(|of| of.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) if info.name == name => Some(tensor),
        _ => None,
    };
    let floats = tensor.filter(|tensor| tensor.elem_type == FLOAT);
    let dims = floats
        .and_then(|tensor| tensor.shape.as_ref())
        .map(|shape| shape.dim.as_slice());
    let of_width = matches!(dims, Some([batch, columns])
        if matches!(batch.value, Some(dimension::Value::DimParam(_)))
            && columns.value == Some(dimension::Value::DimValue(width as i64)));
    if of_width {
        Ok(())
    } else {
        Err(GraphFault::Interface(name.to_owned()))
    }
}
