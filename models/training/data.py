"""Rows that `wardline features` wrote, grouped by capture."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

FIXED = ("capture", "mac", "type", "role", "scope", "frames", "began", "seconds", "facts", "evidence", "first")
DEPTHS = (20, 60, 300, None)
"""Frames after which a decision is looked at; None is the whole capture."""


@dataclass
class Row:
    """A device at one time."""

    scope: str
    frames: int
    seconds: float
    numbers: np.ndarray
    facts: frozenset
    evidence: dict
    first: tuple


@dataclass
class Capture:
    """What one capture shows of the device it was taken for."""

    name: str
    unit: str
    kind: str
    role: str
    real: bool
    began: float
    rows: list = field(default_factory=list)

    @property
    def recording(self):
        """The file."""
        return self.name.rsplit("/", 1)[-1]

    def looks(self):
        """The rows that are trained on: each window and all together. Of an emulated device the
        decisions only, since its later windows are like the first."""
        if self.real:
            return self.rows
        return list({id(row): row for row in (self.at(depth) for depth in DEPTHS)}.values())

    def at(self, frames):
        """The row of a decision after so many frames, or of all there were."""
        if frames is not None:
            windows = sorted((r for r in self.rows if r.scope == "window"), key=lambda r: r.seconds)
            for row in windows:
                if row.frames >= frames:
                    return row
        return next(row for row in self.rows if row.scope == "so-far")

    @property
    def maker(self):
        """The registered owner of the unit's address, or the unit itself where nobody registered it."""
        tokens = (t for row in self.rows for t in row.facts if t.startswith("oui.organisation="))
        return min(tokens, default=self.kind)


def read(path, labels, real):
    """Captures of one data set. A device is taken from the captures made for it, the folder of
    which has the name of its label; where folders have other names, from every capture."""
    table = parquet.read_table(path)
    names = [name for name in table.schema.names if name not in FIXED]
    labels = json.loads(Path(labels).read_text())
    by_mac = {label.get("mac", name): name for name, label in labels.items()}
    captures = {}
    for record in table.to_pylist():
        folder = Path(record["capture"]).parent.name
        own = labels.get(folder)
        if own is not None and own.get("mac", folder) != record["mac"]:
            continue
        unit = folder if own is not None else by_mac[record["mac"]]
        key = (record["capture"], record["mac"])
        if key not in captures:
            captures[key] = Capture(
                name=f"{unit}/{Path(record['capture']).name}",
                unit=unit,
                kind=record["type"],
                role=record["role"],
                real=real,
                began=record["began"],
            )
        captures[key].rows.append(row_of(record, names))
    return names, [captures[key] for key in sorted(captures)]


def row_of(record, names):
    pairs = (item.rsplit(" ", 1) for item in record["evidence"].split("\t") if item)
    return Row(
        scope=record["scope"],
        frames=record["frames"],
        seconds=record["seconds"],
        numbers=np.array([record[name] for name in names], dtype=np.float64),
        facts=frozenset(token for token in record["facts"].split("\t") if token),
        evidence={role: float(weight) for role, weight in pairs},
        first=tuple(int(length) for length in record["first"].split("\t") if length),
    )


def digest_of_files(paths):
    """One hash over the names and bytes of files, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(paths, key=str):
        whole.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def folds(captures, count, seed):
    """Number of the fold of each capture: every real kind spread evenly over all folds; of emulated
    devices, those of one recording together, since they spoke with each other."""
    random = np.random.default_rng(seed)
    by_kind = defaultdict(list)
    for index, capture in enumerate(captures):
        if capture.real:
            by_kind[capture.kind].append(index)
    number = np.zeros(len(captures), dtype=int)
    for kind in sorted(by_kind):
        order = random.permutation(by_kind[kind])
        number[order] = (np.arange(len(order)) + random.integers(count)) % count
    recordings = sorted({capture.recording for capture in captures if not capture.real})
    for index, capture in enumerate(captures):
        if not capture.real:
            number[index] = recordings.index(capture.recording) % count
    return number


def usable(captures, least, most, seed):
    """Captures of types of which there are enough to keep some out; of emulated types, of which any
    number can be had, so many as of a real one. And the names of the types left out."""
    random = np.random.default_rng(seed)
    by_kind = defaultdict(list)
    for capture in captures:
        by_kind[capture.kind].append(capture)
    chosen, few = [], []
    for kind in sorted(by_kind):
        own = by_kind[kind]
        if len(own) < least:
            few.append(kind)
        elif own[0].real or len(own) <= most:
            chosen += own
        else:
            chosen += [own[i] for i in sorted(random.permutation(len(own))[:most])]
    return chosen, few
