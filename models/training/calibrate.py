"""Constants fitted on what models thought of captures they were not trained on."""

import itertools
from dataclasses import replace

import numpy as np
from sklearn.linear_model import LogisticRegression

from .decision import Calibration, Opinion, chances
from .model import Fusion
from .network import log_softmax

KNOWN_KEPT = 0.98
"""Share of known devices that the model may not take for new ones."""
CONFORMAL = 0.95
NETWORK = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
LEXICON = (0.7, 1.0, 1.4)
ROLE_SHARES = (0.0, 0.1, 0.2, 0.4)


def fusion(captures, session, unseen):
    """Weights of network and lexicon with the best log-loss on new sessions, and the share of the
    network's own roles with the best on new sessions and unseen models together."""
    truth = np.array([look.model.kinds.index(captures[i].kind) for (i, _), look in session.items()])
    network = np.array([look.by_network for look in session.values()])
    lexicon = np.array([look.by_lexicon for look in session.values()])

    def loss(pair):
        types = log_softmax(pair[0] * network + pair[1] * lexicon)
        return -types[np.arange(len(truth)), truth].mean()

    best = min(itertools.product(NETWORK, LEXICON), key=loss)
    fused = Fusion(*best)
    apply(fused, session)
    apply(fused, unseen)

    def role_loss(share):
        pairs = [(captures[i].role, look) for (i, _), look in [*session.items(), *unseen.items()]]
        return -np.mean([np.log(look.role_chances(share).get(role, 0) + 1e-3) for role, look in pairs])

    return replace(fused, roles=min(ROLE_SHARES, key=role_loss))


def apply(fused, looks):
    """Adds network and lexicon up anew."""
    for look in looks.values():
        look.types = log_softmax(fused.network * look.by_network + fused.lexicon * look.by_lexicon)


class Novelty:
    """Log-odds of "none of these" from certainty, consistency and distance."""

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
        certainty, consistency, distance = map(float, self.weights)
        return {
            "bias": self.bias,
            "certainty": certainty,
            "consistency": consistency,
            "distance": distance,
        }


def novelty_by_kind(captures, session, unseen):
    """For each kind a judge of novelty that was fitted without it, so that its rejection when it is
    unknown is measured on what the judge never saw."""
    judges = {}
    for kind in sorted({capture.kind for capture in captures}):
        known = [look for (i, _), look in session.items() if captures[i].kind != kind]
        unknown = [look for (i, _), look in unseen.items() if captures[i].kind != kind]
        judges[kind] = Novelty().fit(known, unknown)
    return judges


def opinions(captures, looks, judges, share):
    """What the decision is given for each look."""
    return {
        key: Opinion(look.role_chances(share), judges[captures[key[0]].kind](look))
        for key, look in looks.items()
    }


def decision(captures, session, unseen, names):
    """Constants of the decision: those with the best log-loss over new sessions and unseen models,
    the quantiles of each role from new sessions alone."""
    pairs = [(captures[i], depth, opinion) for found in (session, unseen) for (i, depth), opinion in found.items()]

    def loss(calibration):
        total = 0.0
        for capture, depth, opinion in pairs:
            p = chances(capture.at(depth).evidence, opinion, calibration, names)
            total -= np.log(p[names.index(capture.role)] + 1e-4)
        return total / len(pairs)

    grid = itertools.product((1.0, 1.3), (0.6, 0.8, 1.0), (0.01, 0.003, 0.001, 0.0003))
    tried = [Calibration(temperature=t, model_weight=w, model_floor=f) for t, w, f in grid]
    best = min(tried, key=loss)
    for role in sorted({capture.role for capture in captures}):
        scores = sorted(
            1 - chances(captures[i].at(d).evidence, opinion, best, names)[names.index(role)]
            for (i, d), opinion in session.items()
            if captures[i].role == role
        )
        rank = min(len(scores) - 1, int(np.ceil((len(scores) + 1) * CONFORMAL)) - 1)
        # A set is of use only between "sure" and "all".
        best.quantiles[role] = float(round(np.clip(scores[rank], 0.5, 0.85), 4))
    return best


def enter_type(captures, looks, judges):
    """The least certainty at which a type is named: nearly all known devices keep their name."""
    sure = [np.exp(look.types.max()) * (1 - judges[captures[i].kind](look)) for (i, _), look in looks.items()]
    return float(round(np.clip(np.quantile(sure, 1 - KNOWN_KEPT), 0.2, 0.8), 3))
