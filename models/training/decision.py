"""The decision of `classifier/src/decide`, for measuring: evidence and opinion as log-odds."""

from dataclasses import asdict, dataclass, field

import numpy as np

UNTRAINED_SHARE = 0.5
SET_MAX = 3
SPEAKS = 1.0


@dataclass
class Calibration:
    """As `calibration.json`."""

    temperature: float = 1.0
    model_weight: float = 1.0
    model_floor: float = 0.01
    evidence_weight: float = 1.0
    other: float = 0.5
    quantiles: dict = field(default_factory=dict)
    quantile: float = 0.85
    enter: float = 0.90
    enter_alone: float = 0.97
    enter_set: float = 0.50
    enter_type: float = 0.60

    def document(self):
        return asdict(self)


@dataclass
class Opinion:
    """What a model says of a row."""

    roles: dict
    novelty: float


def chances(evidence, opinion, calibration, names):
    """Probability of each role of `names`, which are all there are, and, last, of none."""
    prior = np.full(len(names) + 1, np.log((1 - calibration.other) / len(names)))
    prior[-1] = np.log(calibration.other)
    scores = prior
    if opinion is not None:
        novelty = opinion.novelty
        own = np.array([opinion.roles.get(name, 0.0) for name in names])
        base = np.append(own * (1 - novelty) + novelty * UNTRAINED_SHARE / len(names), novelty * (1 - UNTRAINED_SHARE))
        weight = calibration.model_weight
        scores = weight * np.log(np.maximum(base, calibration.model_floor)) + (1 - weight) * prior
    said = np.array([evidence.get(name, 0.0) for name in names] + [0.0])
    scores = (scores + calibration.evidence_weight * said) / calibration.temperature
    odds = np.exp(scores - scores.max())
    return odds / odds.sum()


def answer(evidence, opinion, calibration, names):
    """The role that is named, or None; the set; the best role and its probability."""
    probabilities = chances(evidence, opinion, calibration, names)[:-1]
    allowed = [calibration.quantiles.get(name, calibration.quantile) for name in names]
    chosen = [i for i, p in enumerate(probabilities) if 1 - p <= allowed[i]]
    best = int(probabilities.argmax())
    if len(chosen) > SET_MAX or probabilities[chosen].sum() < calibration.enter_set:
        chosen = []
    named = None
    if len(chosen) == 1:
        role = names[chosen[0]]
        speaks = evidence.get(role, 0.0) >= SPEAKS
        enter = calibration.enter if speaks else calibration.enter_alone
        if probabilities[chosen[0]] >= enter:
            named = role
    return named, [names[i] for i in chosen], names[best], float(probabilities[best])
