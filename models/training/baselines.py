"""What simpler means reach on the same captures."""

from collections import Counter, defaultdict

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

FIRST = 20
NEIGHBOURS = 3


def first_sizes(train, test, target, depth):
    """k-NN on the lengths and directions of the first packets."""

    def vector(capture):
        sizes = capture.rows[0].first[: depth or FIRST]
        return np.pad([np.sign(s) * np.log1p(abs(s)) for s in sizes], (0, FIRST - len(sizes)))

    model = KNeighborsClassifier(NEIGHBOURS, weights="distance")
    model.fit([vector(c) for c in train], [target(c) for c in train])
    return model.predict([vector(c) for c in test])


def registered_owner(train, test, target, _depth):
    """The most frequent answer for the owner of the MAC address."""
    counts = defaultdict(Counter)
    for capture in train:
        counts[capture.maker][target(capture)] += 1
    def named(capture):
        found = counts.get(capture.maker)
        return max(sorted(found), key=found.get) if found else "unknown"
    return [named(capture) for capture in test]


def ports(train, test, target, depth):
    """Protocols and ports, without what is said in them."""

    def said(row):
        return [token for token in row.facts if token.startswith(("port.", "protocol."))]

    rows = [(said(row), target(capture)) for capture in train for row in capture.rows]
    place = {token: index for index, token in enumerate(sorted({t for tokens, _ in rows for t in tokens}))}

    def bag(lists):
        pairs = [(i, place[t]) for i, tokens in enumerate(lists) for t in tokens if t in place]
        i, j = zip(*pairs) if pairs else ((), ())
        return csr_matrix((np.ones(len(pairs)), (i, j)), shape=(len(lists), max(1, len(place))))

    model = LogisticRegression(max_iter=400).fit(bag([tokens for tokens, _ in rows]), [name for _, name in rows])
    return model.predict(bag([said(capture.at(depth)) for capture in test]))


BASELINES = {
    "k-NN on first sizes": first_sizes,
    "registered owner of the MAC address": registered_owner,
    "protocols and ports": ports,
}


def out_of_group(captures, groups, target, depth):
    """Answers of each baseline for each capture, from models that never saw its group."""
    answers = {}
    for name, baseline in BASELINES.items():
        found = [None] * len(captures)
        for group in sorted(set(groups), key=str):
            train = [c for c, g in zip(captures, groups) if g != group]
            test = [i for i, g in enumerate(groups) if g == group]
            for i, answer in zip(test, baseline(train, [captures[i] for i in test], target, depth)):
                found[i] = str(answer)
        answers[name] = found
    return answers
