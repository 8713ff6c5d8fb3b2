"""Network and lexicon together: what `classifier/src/model` does, for measuring."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .lexicon import Lexicon
from .network import Network, log_softmax

RIDGE = 0.1
"""Added to the covariance of places, in standard deviations: numbers that hardly vary in training
vary elsewhere."""


@dataclass
class Fusion:
    """How network and lexicon add up."""

    network: float = 0.7
    lexicon: float = 1.0
    roles: float = 0.2


def groups(names):
    """Numbers that are missing together, by their names."""
    place = {name: index for index, name in enumerate(names)}
    talk = names[names.index("opened") :]
    stack = ("tcp-window", "tcp-scales", "hop-limit")
    return {
        "stack": [place[name] for name in stack],
        "dhcp": [place[name] for name in names if name.startswith("dhcp-")],
        "talks": [place[name] for name in talk if name not in stack and not name.startswith("dhcp-")],
        "gaps": [place[name] for name in names if name.startswith("gap-") or name.endswith("-every")],
    }


class Model:
    """Trained on captures."""

    def __init__(self, names, fusion, seed):
        self.names, self.fusion, self.seed = names, fusion, seed

    def fit(self, captures):
        rows = [(row, capture) for capture in captures for row in capture.looks()]
        numbers = np.array([row.numbers for row, _ in rows])
        kinds = [capture.kind for _, capture in rows]
        roles = [capture.role for _, capture in rows]
        self.network = Network(self.names, groups(self.names), self.seed)
        masked = [not capture.real for _, capture in rows]
        self.network.fit(numbers, kinds, roles, balanced(rows), masked)
        self.lexicon = Lexicon().fit(captures)
        self.kinds = self.network.kinds
        self.role_of = {capture.kind: capture.role for capture in captures}
        self._places(numbers, np.array(kinds))
        return self

    def _places(self, numbers, kinds):
        """A linear map after which the spread within types is the same in all directions."""
        scaled = (numbers - self.network.mean) / self.network.std
        middles = {kind: scaled[kinds == kind].mean(0) for kind in self.kinds}
        rest = scaled - np.array([middles[kind] for kind in kinds])
        covariance = rest.T @ rest / len(rest) + RIDGE * np.eye(scaled.shape[1])
        whiten = np.linalg.cholesky(np.linalg.inv(covariance))
        self.place = (whiten / self.network.std[:, None], -(self.network.mean / self.network.std) @ whiten)
        self.centres = np.array([middles[kind] @ whiten for kind in self.kinds])

    def look(self, rows):
        """What the model thinks of each row."""
        numbers = np.array([row.numbers for row in rows])
        network, roles = self.network.predict(numbers)
        lexicon = self.lexicon.predict([row.facts for row in rows])
        types = log_softmax(self.fusion.network * network + self.fusion.lexicon * lexicon)
        places = numbers @ self.place[0] + self.place[1]
        squares = ((places[:, None, :] - self.centres[None]) ** 2).sum(2)
        return [
            Look(
                model=self,
                facts=row.facts,
                by_network=network[index],
                by_lexicon=lexicon[index],
                by_roles=roles[index],
                types=types[index],
                squares=squares[index],
            )
            for index, row in enumerate(rows)
        ]


@dataclass
class Look:
    """One row as a model sees it."""

    model: Model
    facts: frozenset
    by_network: np.ndarray
    by_lexicon: np.ndarray
    by_roles: np.ndarray
    types: np.ndarray
    squares: np.ndarray

    @property
    def kind(self):
        return self.model.kinds[int(self.types.argmax())]

    def novelty_inputs(self):
        best = int(self.types.argmax())
        news, likeness = self.model.lexicon.fit_of(self.model.kinds[best], self.facts)
        return [self.types[best], news, likeness, np.log1p(self.squares[best])]

    def role_chances(self, share):
        """Chance of each role, by way of the types and as the network sees roles itself."""
        chances = Counter()
        for kind, score in zip(self.model.kinds, self.types):
            chances[self.model.role_of[kind]] += (1 - share) * np.exp(score)
        for role, score in zip(self.model.network.roles, self.by_roles):
            chances[role] += share * np.exp(score)
        return dict(chances)


def balanced(rows):
    """Every type weighs the same, and within it every capture."""
    of_capture = Counter(id(capture) for _, capture in rows)
    of_kind = Counter(kind for kind in {id(c): c.kind for _, c in rows}.values())
    weights = [1 / of_capture[id(c)] / of_kind[c.kind] for _, c in rows]
    return np.array(weights, dtype=np.float32) * len(rows) / len(of_kind)
