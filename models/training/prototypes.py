"""What learning on the box begins from: `prototypes.json`, as `classifier/src/learn/base.rs` reads it."""

from dataclasses import replace

import numpy as np

from .data import DEPTHS
from .decision import chances

CLIP = 8.0
REPLAY = 6
"""Captures of each role whose windows what is learnt must not unlearn."""


def document(model, captures, opinions, calibration, names):
    """`opinions` are those of models that were trained without the capture, by index and depth."""
    centre, scale, stack = model.network.mean, model.network.std, model.network.groups["stack"]

    def numbers(capture, row):
        own = row.numbers.astype(np.float64).copy()
        if not capture.real:
            # The TCP stack of an emulator says nothing of the device.
            own[stack] = centre[stack]
        return own

    def places(capture):
        rows = np.array([numbers(capture, row) for row in capture.looks()])
        return ((rows - centre) / scale).clip(-CLIP, CLIP)

    by_role = {}
    for index, capture in enumerate(captures):
        by_role.setdefault(capture.role, []).append(index)
    cool = replace(calibration, temperature=1.0)
    prototypes, replay = {}, []
    for role in sorted(by_role):
        own = by_role[role]
        units = {}
        for index in own:
            units.setdefault(captures[index].unit, []).append(places(captures[index]))
        mean = np.mean([np.concatenate(found).mean(0) for found in units.values()], axis=0)
        windows = np.concatenate([place for found in units.values() for place in found])
        spread = float(np.square(windows - mean).mean())
        prototypes[role] = {"mean": floats(mean), "spread": max(spread, 1e-3)}
        chosen = [own[i] for i in np.linspace(0, len(own) - 1, min(REPLAY, len(own))).astype(int)]
        for index in chosen:
            for depth in (DEPTHS[0], DEPTHS[-1]):
                row = captures[index].at(depth)
                odds = chances(row.evidence, opinions[index, depth], cool, names)
                replay.append({
                    "role": role,
                    "window": {
                        "time_ns": 0,
                        "features": floats(numbers(captures[index], row)),
                        "scores": floats(np.log(np.maximum(odds, 1e-37))),
                    },
                })
    return {
        "centre": floats(centre),
        "scale": floats(scale),
        "prototypes": prototypes,
        "replay": replay,
        "temperature": calibration.temperature,
        "quantiles": calibration.quantiles,
        "quantile": calibration.quantile,
    }


def floats(numbers):
    """Shortest decimal digits that give the same 32 bits again."""
    return [float(str(number)) for number in np.asarray(numbers, dtype=np.float32)]
