"""The files of a model, as `classifier/src/model` reads them."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from .prototypes import floats

OPSET = 17
IR_VERSION = 8
OUTPUTS = ("types", "roles", "place")
GOLDEN = 16
VECTORS = 1_024
VECTOR_SEED = 5
GOLDEN_SEED = 7
RANGE_LOW, RANGE_HIGH = 0.1, 0.9


def graph(model):
    """MatMul, Add and Relu only; no softmax, and no shapes inside that would bind the batch."""
    first, second, types, roles = model.network.weights()
    place = tuple(part.astype(np.float32) for part in model.place)
    nodes, constants = [], []

    def dense(source, layer, name, relu):
        matrix, vector = layer
        constants.append(numpy_helper.from_array(np.ascontiguousarray(matrix), f"{name}.matrix"))
        constants.append(numpy_helper.from_array(np.ascontiguousarray(vector), f"{name}.vector"))
        product = f"{name}.product"
        result = f"{name}.sum" if relu else name
        nodes.append(helper.make_node("MatMul", [source, f"{name}.matrix"], [product], f"{name}.matmul"))
        nodes.append(helper.make_node("Add", [product, f"{name}.vector"], [result], f"{name}.add"))
        if relu:
            nodes.append(helper.make_node("Relu", [result], [name], f"{name}.relu"))
        return name

    hidden = dense(dense("features", first, "first", True), second, "second", True)
    dense(hidden, types, "types", False)
    dense(hidden, roles, "roles", False)
    dense("features", place, "place", False)
    widths = (types[0].shape[1], roles[0].shape[1], place[0].shape[1])
    info = helper.make_tensor_value_info
    whole = helper.make_graph(
        nodes,
        "wardline",
        [info("features", TensorProto.FLOAT, ["batch", len(model.names)])],
        [info(name, TensorProto.FLOAT, ["batch", width]) for name, width in zip(OUTPUTS, widths)],
        constants,
    )
    proto = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(proto)
    return proto


def random_vectors(seed, count, width):
    """SplitMix64, 24 bits of each number, from 0 to 1 as shares are: the same in every language."""
    mask, state, numbers = (1 << 64) - 1, seed, []
    for _ in range(count * width):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        numbers.append(((z ^ (z >> 31)) >> 40) / (1 << 24))
    return np.array(numbers, dtype=np.float32).reshape(count, width)


def write(model, statistics, calibration, base, folder, vectors_file):
    """Writes everything but the manifest, which is made and signed by whoever holds the key."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    proto = graph(model)
    (folder / "model.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    runtime = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])

    def run(inputs):
        return runtime.run(list(OUTPUTS), {"features": inputs})

    width = len(model.names)
    check_against_training(model, run)
    golden = random_vectors(GOLDEN_SEED, GOLDEN, width)
    answers = run(golden)
    dump(folder / "golden.json", {
        "vectors": [
            {"features": floats(golden[i]), "outputs": [floats(head[i]) for head in answers]}
            for i in range(GOLDEN)
        ]
    })
    types, roles, _ = run(random_vectors(VECTOR_SEED, VECTORS, width))
    Path(vectors_file).write_bytes(np.concatenate([types, roles], axis=1).astype("<f4").tobytes())
    dump(folder / "lexicon.json", model.lexicon.document())
    dump(folder / "statistics.json", statistics)
    dump(folder / "calibration.json", calibration.document())
    dump(folder / "prototypes.json", base)


def check_against_training(model, run):
    """The exported network says what the trained one says."""
    inputs = random_vectors(1, 64, len(model.names))
    types, roles, _ = run(inputs)
    for ours, theirs in zip(model.network.predict(inputs), (types, roles)):
        scores = theirs.astype(np.float64)
        scores -= scores.max(1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(1, keepdims=True))
        if np.abs(ours - scores).max() > 1e-3:
            raise SystemExit("the exported network does not answer as the trained one does")


def statistics(model, captures, novelty):
    """What is usual, and how the parts add up."""
    numbers = {}
    for capture in captures:
        for row in capture.rows:
            numbers.setdefault(capture.role, []).append(row.numbers)
    usual = {}
    for role in sorted(numbers):
        low, high = np.quantile(np.array(numbers[role]), [RANGE_LOW, RANGE_HIGH], axis=0)
        usual[role] = [[short(a), short(b)] for a, b in zip(low, high)]
    fusion = model.fusion
    return {
        "mean": floats(model.network.mean),
        "usual": usual,
        "centres": [floats(centre) for centre in model.centres],
        "fusion": {"network": fusion.network, "lexicon": fusion.lexicon, "roles": fusion.roles},
        "novelty": novelty.document(),
    }


def short(number):
    return float(f"{number:.5g}")


def dump(path, document):
    Path(path).write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n")
