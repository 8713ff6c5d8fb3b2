"""What devices of each type say, and how steadily."""

from collections import Counter, defaultdict

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

CAPTURES_MIN = 3
"""A token of fewer captures belongs to one session, not to a kind of device."""
STRENGTH = 1.0
NEW_OF_OTHERS = 0.5
WEIGHT_MIN = 0.02


class Lexicon:
    """Log-odds of types by tokens, and the habits of each type."""

    def fit(self, captures):
        said = [frozenset().union(*(row.facts for row in capture.rows)) for capture in captures]
        counts = Counter(token for tokens in said for token in tokens)
        self.kinds = sorted({capture.kind for capture in captures})
        self.tokens = sorted(token for token, count in counts.items() if count >= CAPTURES_MIN)
        self.place = {token: index for index, token in enumerate(self.tokens)}
        rows = [(row.facts, capture.kind) for capture in captures for row in capture.looks()]
        model = LogisticRegression(C=STRENGTH, max_iter=400)
        model.fit(self._bag([facts for facts, _ in rows]), [kind for _, kind in rows])
        coefficients, bias = model.coef_, model.intercept_
        if len(self.kinds) == 2:
            coefficients, bias = np.vstack([-coefficients, coefficients]), np.array([-bias[0], bias[0]])
        coefficients[np.abs(coefficients) < WEIGHT_MIN] = 0
        self.weights, self.bias = coefficients.round(3), bias.round(4)
        self._habits(captures, said)
        return self

    def _bag(self, facts):
        pairs = [(row, self.place[t]) for row, said in enumerate(facts) for t in said if t in self.place]
        rows, columns = zip(*pairs) if pairs else ((), ())
        return csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(facts), len(self.tokens)))

    def _habits(self, captures, said):
        self.captures = Counter(capture.kind for capture in captures)
        heard = defaultdict(Counter)
        for capture, tokens in zip(captures, said):
            heard[capture.kind].update(tokens)
        self.shown, self.new = defaultdict(Counter), defaultdict(Counter)
        for capture, tokens in zip(captures, said):
            for field, new in self._fields(tokens, lambda t: heard[capture.kind][t] <= 1).items():
                self.shown[capture.kind][field] += 1
                self.new[capture.kind][field] += new
        self.seen = {kind: {t for t, n in heard[kind].items() if n > 1} for kind in self.kinds}
        self.speakers = Counter(token for kind in self.kinds for token in self.seen[kind])

    @staticmethod
    def _fields(tokens, is_new):
        fields = defaultdict(bool)
        for token in tokens:
            fields[token.split("=", 1)[0]] |= is_new(token)
        return fields

    def predict(self, facts):
        scores = np.asarray(self._bag(facts) @ self.weights.T) + self.bias
        scores -= scores.max(1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(1, keepdims=True))

    def fit_of(self, kind, facts):
        """News: log of how much likelier the type says something new, or nothing new, in these
        fields than a device of none. Likeness: how much of it only this type says."""
        news, likeness = 0.0, defaultdict(float)
        for field, new in self._fields(facts, lambda t: t not in self.seen[kind]).items():
            shown = self.shown[kind][field]
            chance = (self.new[kind][field] + 0.5) / (shown + 1) if shown else 0.5 / (self.captures[kind] + 1)
            news += np.log(chance / NEW_OF_OTHERS if new else (1 - chance) / (1 - NEW_OF_OTHERS))
        for token in facts:
            if token in self.seen[kind]:
                field = token.split("=", 1)[0]
                seldom = np.log(len(self.kinds) / (self.speakers[token] - 0.5))
                likeness[field] = max(likeness[field], seldom)
        return news, sum(likeness.values())

    def document(self):
        """As the program reads it."""
        tokens = {}
        for token in sorted(set(self.tokens).union(*self.seen.values())):
            column = self.place.get(token)
            weights = [] if column is None else self.weights[:, column]
            entry = {
                "weights": [[int(i), float(weights[i])] for i in np.flatnonzero(weights)],
                "seen": [i for i, kind in enumerate(self.kinds) if token in self.seen[kind]],
            }
            if entry["weights"] or entry["seen"]:
                tokens[token] = entry
        types = [
            {
                "captures": self.captures[kind],
                "fields": {
                    field: {"shown": shown, "new": self.new[kind][field]}
                    for field, shown in sorted(self.shown[kind].items())
                },
            }
            for kind in self.kinds
        ]
        return {"bias": self.bias.tolist(), "types": types, "tokens": tokens}
