"""What the models reach on captures, units, types and makers they were not trained on."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np

from . import baselines, measure
from .data import DEPTHS, folds
from .decision import answer
from .splits import FOLDS, by_kind, by_maker

UNKNOWN = "unknown"
SECONDS_A_DAY = 86_400


@dataclass
class Trained:
    """All that was fitted, and what was thought of captures kept out."""

    captures: list
    roles: list
    looks: dict
    """By split: by capture and depth."""
    opinions: dict
    calibration: object
    judges: dict


class Table:
    """Results of one set of captures, real or emulated. What was measured once is kept: report and
    card ask for the same."""

    def __init__(self, trained, chosen, seed):
        self.trained, self.seed = trained, seed
        self.chosen = [i for i, capture in enumerate(trained.captures) if chosen(capture)]

    @property
    def real(self):
        """Whether none of them is emulated."""
        return all(self.trained.captures[i].real for i in self.chosen)

    def units(self):
        return sorted({self.trained.captures[i].unit for i in self.chosen})

    def _items(self, split, depth):
        looks = self.trained.looks[split]
        return [i for i in self.chosen if (i, depth) in looks]

    def types(self, split, depth):
        """Truth, name given, and certainty of each capture."""
        captures, calibration = self.trained.captures, self.trained.calibration
        found = []
        for i in self._items(split, depth):
            look = self.trained.looks[split][i, depth]
            novelty = self.trained.judges[captures[i].kind](look)
            sure = float(np.exp(look.types.max()) * (1 - novelty))
            named = look.kind if sure >= calibration.enter_type else UNKNOWN
            found.append((i, captures[i].kind, named, sure, novelty, look))
        return found

    def _summary(self, metric, indices, items):
        units = [self.trained.captures[i].unit for i in indices]
        return measure.with_interval(metric, units, items, self.seed)

    @cache
    def type_scores(self, split, depth):
        found = self.types(split, depth)
        if not found:
            return None
        indices = [i for i, *_ in found]
        pairs = [(true, named) for _, true, named, *_ in found]
        f1 = self._summary(lambda items: measure.macro_f1(*zip(*items)), indices, pairs)
        sure = [s for *_, s, _, _ in found]
        return {
            "captures": len(found),
            "macro F1": f1,
            "coverage": float(np.mean([named != UNKNOWN for _, named in pairs])),
            "calibration error": measure.calibration_error(sure, [true == named for true, named in pairs]),
            "recall": measure.recall(*zip(*pairs)),
        }

    @cache
    def rejection(self, depth):
        """Unknown types taken for known ones, at what the decision uses and at given coverages."""
        known, unknown = self.types("session", depth), self.types("model", depth)
        if not known or not unknown:
            return None
        inside = np.array([novelty for *_, novelty, _ in known])
        outside = np.array([novelty for *_, novelty, _ in unknown])
        indices = [i for i, *_ in unknown]
        taken = [named != UNKNOWN for _, _, named, *_ in unknown]
        scores = {
            "coverage": float(np.mean([named != UNKNOWN for _, _, named, *_ in known])),
            "taken for known": self._summary(lambda items: float(np.mean(items)), indices, taken),
            "AUROC": measure.auroc(inside, outside),
            "who": Counter((true, named) for _, true, named, *_ in unknown if named != UNKNOWN),
        }
        for coverage in (0.90, 0.95, 0.98):
            scores[coverage] = float(np.mean(outside <= np.quantile(inside, coverage)))
        return scores

    @cache
    def roles(self, split, depth, way):
        """Of each capture the truth, the role named by one way of deciding, the roles that stay
        possible, the best one and its probability."""
        captures, trained = self.trained.captures, self.trained
        found = []
        for i in self._items(split, depth):
            look, opinion = trained.looks[split][i, depth], trained.opinions[split][i, depth]
            evidence = captures[i].at(depth).evidence
            if way == "model only, always answering":
                chances = look.role_chances(1.0)
                named = best = max(sorted(chances), key=chances.get)
                options, sure = [named], chances[best]
            else:
                said = {} if way == "model only" else evidence
                voice = None if way == "evidence only" else opinion
                named, options, best, sure = answer(said, voice, trained.calibration, trained.roles)
            found.append((i, captures[i].role, named or UNKNOWN, options, best, sure))
        return found

    def lone_roles(self, split):
        """Roles of one single type (or maker): without it, nothing of them is left to learn from."""
        group = {"model": lambda c: c.kind, "maker": lambda c: c.maker}.get(split)
        if group is None:
            return set()
        groups = {}
        for i in self.chosen:
            capture = self.trained.captures[i]
            groups.setdefault(capture.role, set()).add(group(capture))
        return {role for role, found in groups.items() if len(found) == 1}

    @cache
    def role_scores(self, split, depth, way):
        found = self.roles(split, depth, way)
        if not found:
            return None
        indices = [i for i, *_ in found]
        pairs = [(true, named) for _, true, named, *_ in found]
        f1 = self._summary(lambda items: measure.macro_f1(*zip(*items)), indices, pairs)
        lone = self.lone_roles(split)
        learnable = f1
        if lone:
            learnable = self._summary(lambda items: measure.macro_f1(*zip(*items), without=lone), indices, pairs)
        wrong = [named not in (true, UNKNOWN) for true, named in pairs]
        sets = [(true, options) for _, true, _, options, *_ in found if options]
        return {
            "captures": len(found),
            "macro F1": f1,
            "macro F1, learnable": learnable,
            "lone": lone,
            "coverage": float(np.mean([named != UNKNOWN for _, named in pairs])),
            "wrong": self._summary(lambda items: float(np.mean(items)), indices, wrong),
            "set holds the truth": float(np.mean([t in o for t, o in sets])) if sets else None,
            "calibration error": measure.calibration_error(
                [sure for *_, sure in found], [true == best for _, true, _, _, best, _ in found]
            ),
            "recall": measure.recall(*zip(*pairs)),
            "mistakes": Counter((self.trained.captures[i].kind, n) for i, t, n, *_ in found if n not in (t, UNKNOWN)),
        }

    def time_to_decision(self, split):
        """Packets and seconds until the right role is named, of those that ever are."""
        first = {}
        for depth in DEPTHS:
            for i, true, named, *_ in self.roles(split, depth, "fused"):
                if named == true and i not in first:
                    row = self.trained.captures[i].at(depth)
                    first[i] = (row.frames, row.seconds)
        if not first:
            return None
        packets, seconds = np.array(list(first.values())).T
        total = len(self._items(split, None))
        return {
            "named": len(first) / total,
            "packets": [float(q) for q in np.quantile(packets, [0.5, 0.9])],
            "seconds": [float(q) for q in np.quantile(seconds, [0.5, 0.9])],
        }

    def changes(self, split):
        """Changes from one named role to another between the depths, for a device and day of
        traffic. Without the hysteresis of the gateway, which looks once a second and must see a role
        several times: what devices said is known here at the depths only."""
        changes, days = 0, 0.0
        by_depth = {d: {i: n for i, _, n, *_ in self.roles(split, d, "fused")} for d in DEPTHS}
        for i in self._items(split, None):
            named = [by_depth[depth][i] for depth in DEPTHS]
            steady = [name for name in named if name != UNKNOWN]
            changes += sum(a != b for a, b in zip(steady, steady[1:]))
            days += self.trained.captures[i].at(None).seconds / SECONDS_A_DAY
        return {"changes": changes, "device-days": days, "a device and day": changes / days if days else 0.0}

    def baselines(self, split, depth, target):
        """Macro F1 of simpler means on the same split."""
        captures = [self.trained.captures[i] for i in self.chosen]
        if split == "session":
            groups = folds(captures, FOLDS, self.seed)
        elif split == "model":
            groups = list(map(by_kind(captures), captures))
        else:
            groups = list(map(by_maker(captures), captures))
        if len(set(groups)) < 2:
            return {}
        truth = [target(capture) for capture in captures]
        answers = baselines.out_of_group(captures, groups, target, depth)
        scores = {}
        for name, given in answers.items():
            wrong = np.mean([g not in (t, UNKNOWN) for t, g in zip(truth, given)])
            scores[name] = {"macro F1": measure.macro_f1(truth, given), "wrong": float(wrong)}
        return scores

    def type_ways(self, depth):
        """Types on new sessions by the parts of the model, each always answering."""
        found = self.types("session", depth)
        truth = [true for _, true, *_ in found]

        def named(score):
            return [look.model.kinds[int(score(look).argmax())] for *_, look in found]

        return {
            "lexicon only (evidence)": measure.macro_f1(truth, named(lambda look: look.by_lexicon)),
            "network only (model)": measure.macro_f1(truth, named(lambda look: look.by_network)),
            "fused, always answering": measure.macro_f1(truth, named(lambda look: look.types)),
        }
