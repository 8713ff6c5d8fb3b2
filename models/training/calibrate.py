"""Constants fitted on what models thought of captures they were not trained on."""

import itertools
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from .data import DEPTHS
from .decision import Calibration, Opinion, answer, chances
from .model import Fusion
from .network import log_softmax

KNOWN_KEPT = 0.98
"""Share of known devices that the model may not take for new ones."""
CONFORMAL = 0.95
NETWORK = (0.3, 0.5, 0.7, 1.0)
"""The lexicon knows few networks well; however well, the traffic has a say."""
LEXICON = (0.7, 1.0, 1.4)
ROLE_SHARES = (0.0, 0.1, 0.2, 0.4)
TEMPERATURES = (1.0, 1.3)
MODEL_WEIGHTS = (0.6, 0.8, 1.0)
MODEL_FLOORS = (0.01, 0.003, 0.001, 0.0003)
ENTER_ALONE = (0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
WRONG_MAX = 0.005
"""Share of looks at unseen types and makers that the model alone may name wrongly."""


def fusion(captures, session):
    """Weights of network and lexicon with the best log-loss on new sessions."""
    truth = np.array([look.model.kinds.index(captures[i].kind) for (i, _), look in session.items()])
    network = np.array([look.by_network for look in session.values()])
    lexicon = np.array([look.by_lexicon for look in session.values()])

    def loss(pair):
        types = log_softmax(pair[0] * network + pair[1] * lexicon)
        return -types[np.arange(len(truth)), truth].mean()

    return Fusion(*min(itertools.product(NETWORK, LEXICON), key=loss))


def apply(fused, looks):
    """Adds network and lexicon up anew."""
    for look in looks.values():
        look.types = log_softmax(fused.network * look.by_network + fused.lexicon * look.by_lexicon)


class Novelty:
    """Log-odds of "none of these" from certainty, fit and distance."""

    def fit(self, known, unknown):
        inputs = np.array([look.novelty_inputs() for look in [*known, *unknown]])
        target = np.r_[np.zeros(len(known)), np.ones(len(unknown))]
        spread = inputs.std(0) + 1e-9
        model = LogisticRegression(class_weight="balanced", C=1.0).fit(inputs / spread, target)
        self.weights = model.coef_[0] / spread
        scores = inputs[: len(known)] @ self.weights
        self.bias = -float(np.quantile(scores, KNOWN_KEPT))
        return self

    def __call__(self, look):
        return float(1 / (1 + np.exp(-(self.bias + np.dot(self.weights, look.novelty_inputs())))))

    def document(self):
        certainty, news, likeness, distance = map(float, self.weights)
        return {
            "bias": self.bias,
            "certainty": certainty,
            "news": news,
            "likeness": likeness,
            "distance": distance,
        }


def real_looks(captures, looks, without=None):
    """Novelty is judged by real devices where there are any: how new an emulated one looks is up to
    whoever wrote the emulator."""
    any_real = any(capture.real for capture in captures)
    chosen = (look for (i, _), look in looks.items()
              if captures[i].kind != without and (captures[i].real or not any_real))
    return list(chosen)


def novelty(captures, looks, without=None):
    """A judge of novelty, fitted without one kind if that is named."""
    return Novelty().fit(*(real_looks(captures, looks[split], without) for split in ("session", "model")))


def novelty_by_kind(captures, looks):
    """For each kind a judge of novelty that was fitted without it, so that its rejection when it is
    unknown is measured on what the judge never saw."""
    judges = {c.kind: novelty(captures, looks, c.kind) for c in {c.kind: c for c in captures if c.real}.values()}
    general = novelty(captures, looks)
    return {capture.kind: judges.get(capture.kind, general) for capture in captures}


def opinions(captures, looks, judges, share):
    """What the decision is given for each look."""
    return {
        key: Opinion(look.role_chances(share), judges[captures[key[0]].kind](look))
        for key, look in looks.items()
    }


def decision(captures, looks, judges, names):
    """Constants of the decision, and the share of the network's own roles.

    Those with the best log-loss over new sessions and unseen types; the quantiles of each role from
    new sessions alone; and the least certainty at which the model alone names a role that hardly
    ever names a wrong one, be the type or the maker unseen, after few packets or many."""
    evidence = {(i, d): captures[i].at(d).evidence for i in range(len(captures)) for d in DEPTHS}
    truth = [names.index(capture.role) for capture in captures]

    def told(split, share):
        found = opinions(captures, looks[split], judges, share)
        return [(truth[i], evidence[i, d], opinion, captures[i].real) for (i, d), opinion in found.items()]

    def loss(pairs, calibration):
        right = [chances(said, opinion, calibration, names)[true] for true, said, opinion, _ in pairs]
        return -np.log(np.array(right) + 1e-4).mean()

    def settle(share):
        pairs = told("session", share) + told("model", share)
        grid = itertools.product(TEMPERATURES, MODEL_WEIGHTS, MODEL_FLOORS)
        tried = [Calibration(temperature=t, model_weight=w, model_floor=f) for t, w, f in grid]
        return min(((loss(pairs, c), i, c) for i, c in enumerate(tried)))

    (_, _, best), share = min((settle(share), share) for share in ROLE_SHARES)
    for role in sorted({capture.role for capture in captures}):
        own = [pair for pair in told("session", share) if names[pair[0]] == role]
        scores = sorted(1 - chances(said, opinion, best, names)[true] for true, said, opinion, _ in own)
        rank = min(len(scores) - 1, int(np.ceil((len(scores) + 1) * CONFORMAL)) - 1)
        # A set is of use only between "sure" and "all".
        best.quantiles[role] = float(round(np.clip(scores[rank], 0.5, 0.85), 4))
    unseen = {}
    for split in ("model", "maker"):
        for (_, depth), pair in zip(looks[split], told(split, share)):
            unseen.setdefault((split, depth), []).append(pair)

    def wrong(enter):
        """By split, depth, and whether devices are real: early looks are the rash ones."""
        tried = replace(best, enter_alone=enter)
        named = {}
        for place, pairs in unseen.items():
            for true, said, opinion, real in pairs:
                role = answer(said, opinion, tried, names)[0]
                named.setdefault((*place, real), []).append(role not in (None, names[true]))
        return {place: np.mean(found) for place, found in named.items()}

    # What is named wrongly with evidence for it is not the threshold's doing.
    bound = wrong(1.0)

    def bearable(enter):
        return all(share <= bound[place] + WRONG_MAX for place, share in wrong(enter).items())

    best.enter_alone = next((enter for enter in ENTER_ALONE if bearable(enter)), ENTER_ALONE[-1])
    return best, share


def enter_type(captures, looks, judges):
    """The least certainty at which a type is named: nearly all known devices keep their name."""
    sure = [
        np.exp(look.types.max()) * (1 - judges[captures[i].kind](look))
        for (i, _), look in looks.items()
        if captures[i].real
    ]
    return float(round(np.clip(np.quantile(sure, 1 - KNOWN_KEPT), 0.2, 0.8), 3)) if sure else 0.6
