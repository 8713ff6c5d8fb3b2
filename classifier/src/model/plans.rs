//! The graph, ready to run on 1, 8 and 32 windows at a time.

use std::sync::Arc;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Datum, Framework, InferenceFact, InferenceModelExt, IntoRunnable, IntoTValue, Tensor,
    TractResult, TypedRunnableModel, TypedSimpleState, tvec,
};

use super::graph::{self, OUTPUTS};
use super::refusal::Refusal;
use crate::features::{self, Features};

/// Windows in one run, largest first.
const BATCHES: [usize; 3] = [32, 8, 1];

/// What the network says of one window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Output {
    /// Log-odds of types and roles, and the place among the windows of training.
    pub(super) heads: [Vec<f32>; OUTPUTS.len()],
}

/// A checked graph in its three sizes; shared by all threads.
#[derive(Debug, Clone)]
pub(super) struct Plans([Arc<TypedRunnableModel>; BATCHES.len()]);

impl Plans {
    /// Checks a graph and makes it ready. `widths` are those of [`OUTPUTS`].
    pub(super) fn new(bytes: &[u8], widths: [usize; OUTPUTS.len()]) -> Result<Self, Refusal> {
        // The shapes of the outputs hold any batch; a plan is for one.
        let onnx = tract_onnx::onnx().with_ignore_output_shapes(true);
        let proto = onnx
            .proto_model_for_read(&mut &*bytes)
            .map_err(|_| graph::GraphFault::Unreadable)?;
        graph::check(&proto, widths)?;
        let [many, some, one] = BATCHES.map(|batch| plan(&onnx, &proto, batch));
        let failed = |error| Refusal::Plan(format!("{error:#}"));
        Ok(Self([
            many.map_err(failed)?,
            some.map_err(failed)?,
            one.map_err(failed)?,
        ]))
    }

    /// States of the plans, for one thread.
    pub(super) fn session(&self) -> Result<Session, Refusal> {
        let [many, some, one] = &self.0;
        let failed = |error| Refusal::Plan(format!("{error:#}"));
        Ok(Session([
            many.spawn().map_err(failed)?,
            some.spawn().map_err(failed)?,
            one.spawn().map_err(failed)?,
        ]))
    }
}

fn plan(
    onnx: &tract_onnx::Onnx,
    proto: &ModelProto,
    batch: usize,
) -> TractResult<Arc<TypedRunnableModel>> {
    let fact = InferenceFact::dt_shape(f32::datum_type(), [batch, features::COUNT]);
    let model = onnx
        .model_for_proto_model(proto)?
        .with_input_fact(0, fact)?;
    model.into_optimized()?.into_runnable()
}

/// Runs the network on one thread.
#[derive(Debug)]
pub(super) struct Session([TypedSimpleState; BATCHES.len()]);

impl Session {
    /// What the network says of each window, in their order.
    pub(super) fn run(&mut self, windows: &[Features]) -> TractResult<Vec<Output>> {
        let (mut outputs, mut rest) = (Vec::with_capacity(windows.len()), windows);
        for (state, batch) in self.0.iter_mut().zip(BATCHES) {
            while rest.len() >= batch {
                let (now, later) = rest.split_at(batch);
                run(state, now, &mut outputs)?;
                rest = later;
            }
        }
        Ok(outputs)
    }
}

fn run(
    state: &mut TypedSimpleState,
    windows: &[Features],
    outputs: &mut Vec<Output>,
) -> TractResult<()> {
    let shape = [windows.len(), features::COUNT];
    let input = Tensor::from_shape(&shape, windows.as_flattened())?;
    let answer = state.run(tvec![input.into_tvalue()])?;
    for row in 0..windows.len() {
        let mut heads = <[Vec<f32>; OUTPUTS.len()]>::default();
        for (head, tensor) in heads.iter_mut().zip(&answer) {
            let plain = tensor.try_as_plain_ram()?;
            let numbers = plain.as_slice::<f32>()?;
            let width = numbers.len() / windows.len();
            *head = numbers[row * width..][..width].to_vec();
        }
        outputs.push(Output { heads });
    }
    Ok(())
}
