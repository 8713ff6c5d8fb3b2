"""Metrics, with intervals over devices."""

from collections import defaultdict

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

RESAMPLES = 500


def macro_f1(truth, named, without=()):
    """Over the classes there are, but some; "unknown" is none of them and never right."""
    classes = sorted(set(truth) - set(without))
    if not classes:
        return 0.0
    return float(f1_score(truth, named, labels=classes, average="macro", zero_division=0))


def with_interval(metric, groups, items, seed):
    """A metric of items and its 95 % interval when whole devices are drawn anew."""
    by_group = defaultdict(list)
    for group, item in zip(groups, items):
        by_group[group].append(item)
    names = sorted(by_group)
    value = metric(items)
    if len(names) < 3:
        return value, None
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        chosen = random.integers(len(names), size=len(names))
        sample = [item for index in chosen for item in by_group[names[index]]]
        drawn.append(metric(sample))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return value, (float(low), float(high))


def recall(truth, named):
    """Of each class."""
    hit, total = defaultdict(int), defaultdict(int)
    for true, name in zip(truth, named):
        total[true] += 1
        hit[true] += true == name
    return {name: hit[name] / total[name] for name in sorted(total)}


def calibration_error(sure, right, bins=10):
    """Expected calibration error: how far certainty and truth are apart, on average."""
    sure, right = np.asarray(sure), np.asarray(right, dtype=float)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    error = 0.0
    for index in range(bins):
        inside = place == index
        if inside.any():
            error += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    return float(error)


def auroc(known, unknown):
    """How well a score tells unknown from known; None when one of them is missing."""
    if not len(known) or not len(unknown):
        return None
    truth = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
    return float(roc_auc_score(truth, np.r_[known, unknown]))
