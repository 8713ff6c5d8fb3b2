"""The report and the card, made of a few invented captures: `python -m unittest training.tests`."""

import unittest
from dataclasses import dataclass
from unittest import mock

import numpy as np

from . import decision, evaluate, measure, report
from .data import DEPTHS, Capture, Row
from .decision import Calibration, Opinion

# Intervals are not what is tried here.
measure_quickly = mock.patch.object(measure, "RESAMPLES", 2)
setUpModule, tearDownModule = measure_quickly.start, measure_quickly.stop

ROLES = ["hub", "plug"]
ROLE_OF = {"Bridge": "hub", "Cube": "hub", "Outlet": "plug", "Strip": "plug"}
KINDS = list(ROLE_OF)
SPLITS_OF_REAL = ("session", "unit", "time", "model", "maker")
SPLITS_OF_EMULATED = ("session", "model", "maker")


@dataclass
class Thought:
    """A look with the type it settles on."""

    kind: str

    @property
    def model(self):
        return self

    @property
    def kinds(self):
        return KINDS

    @property
    def types(self):
        return np.log([0.91 if kind == self.kind else 0.03 for kind in KINDS])

    by_network = by_lexicon = types

    def role_chances(self, share):
        return {role: 0.94 if role == ROLE_OF[self.kind] else 0.06 for role in ROLES}


def capture(number, kind, real):
    role = ROLE_OF[kind]
    row = dict(numbers=np.zeros(1), facts=frozenset({"server=x"}), first=(60, 60, number))
    rows = [
        Row("window", frames, float(frames), evidence={role: 3.0}, **row)
        for frames in DEPTHS[:-1]
    ]
    rows.append(Row("so-far", 400, 600.0, evidence={role: 9.0}, **row))
    unit = f"{kind}{number}"
    return Capture(f"{unit}/{number}.pcap", unit, kind, role, real, 0.0, rows)


def results(real, splits, wrong_at=()):
    """Eight captures that are all named rightly once everything was seen; after the packets in
    `wrong_at`, the first of them is taken for an outlet."""
    captures = [capture(number, kind, real) for number in range(2) for kind in KINDS]
    looks, opinions = {}, {}
    for split in splits:
        looks[split], opinions[split] = {}, {}
        for i, known in enumerate(captures):
            for depth in DEPTHS:
                kind = "Outlet" if i == 0 and depth in wrong_at else known.kind
                looks[split][i, depth] = Thought(kind)
                opinions[split][i, depth] = Opinion({ROLE_OF[kind]: 1.0}, 0.0)
    for split in SPLITS_OF_REAL:
        looks.setdefault(split, {})
        opinions.setdefault(split, {})
    judges = {kind: lambda look: 0.1 for kind in KINDS}
    calibration = Calibration(model_floor=1e-6, enter_type=0.5)
    trained = evaluate.Trained(captures, ROLES, looks, opinions, calibration, judges)
    return evaluate.Table(trained, lambda capture: True, 1)


def document(tables):
    sets = [{"name": "invented", "real": True, "captures": 8, "sha256": "0" * 64, "origin": "here"}]
    model = type("Model", (), {"kinds": KINDS, "network": type("Network", (), {"roles": ROLES})})
    files = {"model.onnx": "1" * 64, "lexicon.json": "2" * 64, "prototypes.json": "3" * 64}
    return report.card(tables, sets, None, model, 1, files)


class Roles(unittest.TestCase):
    def test_every_split_and_way_is_told_at_every_depth(self):
        lines = report.roles(results(True, SPLITS_OF_REAL))
        for split in report.SPLITS.values():
            for way in report.WAYS:
                for depth in DEPTHS:
                    start = f"| {split} | {way} | {report.depth_name(depth)} |"
                    self.assertEqual(sum(line.startswith(start) for line in lines), 1, start)

    def test_a_wrong_name_on_the_way_is_told_though_the_end_is_right(self):
        table = results(True, SPLITS_OF_REAL, wrong_at=(60,))
        wrong = [table.role_scores("model", depth, "fused")["wrong"][0] for depth in DEPTHS]
        self.assertEqual(wrong, [0, 0.125, 0, 0])
        line = next(line for line in report.roles(table) if line.startswith("Mistakes, unseen type"))
        self.assertIn("60 packets: Bridge as plug (1)", line)
        self.assertIn("all packets: none", line)

    def test_the_calibration_error_is_that_of_the_best_role(self):
        named, options, best, sure = decision.answer({"plug": 9.0}, None, Calibration(), ROLES)
        self.assertEqual((named, options, best), ("plug", ["plug"], "plug"))
        table = results(True, SPLITS_OF_REAL, wrong_at=DEPTHS)
        found = table.roles("session", None, "model only")
        expected = measure.calibration_error(
            [sure for *_, sure in found], [true == best for _, true, _, _, best, _ in found]
        )
        scores = table.role_scores("session", None, "model only")
        self.assertEqual(scores["calibration error"], expected)
        # One of eight is wrong and as sure as the others.
        self.assertGreater(scores["calibration error"], 0.1)


class Pace(unittest.TestCase):
    def test_every_split_has_a_time_to_decision(self):
        lines = report.pace(results(True, SPLITS_OF_REAL))
        for split in report.SPLITS.values():
            line = next(line for line in lines if line.startswith(f"| {split} |"))
            self.assertIn("| 20 / 20 | 20.0 / 20.0 |", line)

    def test_changes_are_counted_and_said_to_be_without_hysteresis(self):
        table = results(True, SPLITS_OF_REAL, wrong_at=(60,))
        changes = table.changes("session")
        self.assertEqual(changes["changes"], 2)
        self.assertAlmostEqual(changes["a device and day"], 2 / (8 * 600 / 86_400))
        self.assertIn(report.CHANGES, report.pace(table))


class Emulated(unittest.TestCase):
    def test_what_is_not_measured_says_why(self):
        text = "\n".join(report.section("Emulated devices", "", results(False, SPLITS_OF_EMULATED)))
        self.assertIn(f"Not measured: {report.NO_EMULATED_TYPES}.", text)
        for split, why in report.NO_EMULATED.items():
            # In the tables of roles and of time.
            self.assertEqual(text.count(f"| {report.SPLITS[split]} | not measured: {why} |"), 2, split)

    def test_real_devices_have_every_section(self):
        text = "\n".join(report.section("Real devices", "", results(True, SPLITS_OF_REAL)))
        self.assertNotIn("ot measured", text)
        for title in ("Type", "Unknown types", "Role", "Time to decision"):
            self.assertIn(f"### {title}\n", text)


class Card(unittest.TestCase):
    def test_it_says_what_the_report_does(self):
        tables = [
            ("Real devices", "", results(True, SPLITS_OF_REAL)),
            ("Emulated devices", "", results(False, SPLITS_OF_EMULATED)),
        ]
        component = document(tables)["components"][0]
        metrics = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
        told = {(metric["type"], metric["slice"]) for metric in metrics}
        for split in ("unit", "time"):
            place = f"Real devices, 60 packets, {report.SPLITS[split]}"
            for kind in ("type macro F1", "types named", "role macro F1, fused", "roles named, fused"):
                self.assertIn((kind, place), told)
        for title in ("Real devices", "Emulated devices"):
            place = f"{title}, {report.SPLITS['maker']}"
            self.assertIn(("time to decision, seconds, 90 %", place), told)
        # A slice has one value of a kind.
        self.assertEqual(len(told), len(metrics))

    def test_it_has_the_digest_of_every_file_of_the_model(self):
        component = document([])["components"][0]
        named = [file["name"] for file in component["components"]]
        self.assertEqual(named, ["lexicon.json", "model.onnx", "prototypes.json"])
        self.assertEqual(component["components"][0]["hashes"][0]["content"], "2" * 64)


if __name__ == "__main__":
    unittest.main()
