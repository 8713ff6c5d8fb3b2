"""`python -m training PLAN`: trains, measures and exports by the plan that `cargo xtask train` wrote."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from . import calibrate, data, evaluate, export, prototypes, report, splits
from .model import Fusion, Model

REAL = "Consumer devices recorded while somebody set them up."
EMULATED_MAX = 10
EMULATED = "The simulated ward of this repository, recorded at the gateway's place."


def main():
    plan = json.loads(Path(sys.argv[1]).read_text())
    seed, roles = plan["seed"], plan["roles"]
    names, captures, sets = gather(plan)
    say(f"{len(captures)} captures of {len({c.unit for c in captures})} units")
    looks = keep_out(names, captures, Fusion(), seed)
    fused = calibrate.fusion(captures, looks["session"])
    for found in looks.values():
        calibrate.apply(fused, found)
    judges = calibrate.novelty_by_kind(captures, looks)
    decision, fused.roles = calibrate.decision(captures, looks, judges, roles)
    say(f"fusion: {fused}")
    opinions = {
        split: calibrate.opinions(captures, found, judges, fused.roles) for split, found in looks.items()
    }
    decision.enter_type = calibrate.enter_type(captures, looks["session"], judges)
    say(f"decision: {decision}")

    model = Model(names, fused, seed).fit(captures)
    novelty = calibrate.novelty(captures, looks)
    folder = Path(plan["bundle"])
    base = prototypes.document(model, captures, opinions["session"], decision, roles)
    export.write(model, export.statistics(model, captures, novelty), decision, base, folder, plan["vectors"])
    real = {capture.kind for capture in captures if capture.real}
    export.dump(Path(plan["heads"]), {
        "types": [
            {"name": kind, "role": model.role_of[kind], "emulated": kind not in real} for kind in model.kinds
        ],
        "roles": model.network.roles,
    })

    trained = evaluate.Trained(captures, roles, looks, opinions, decision, judges)
    tables = [
        ("Real devices", REAL, evaluate.Table(trained, lambda c: c.real, seed)),
        ("Emulated devices", EMULATED, evaluate.Table(trained, lambda c: not c.real, seed)),
    ]
    # The manifest is made of these files afterwards, and signed.
    written = [p for p in folder.iterdir() if p.is_file() and p.stem != "manifest"]
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in written}
    Path(plan["report"]).write_text(report.report(tables, sets, trained, seed))
    document = report.card(tables, sets, trained, model, seed, files)
    Path(plan["card"]).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    say("done")


def gather(plan):
    """All captures of all sets, and what the sets are."""
    names, captures, sets = None, [], []
    for entry in plan["sets"]:
        names, found = data.read(entry["rows"], entry["labels"], entry["real"])
        chosen, few = data.usable(found, splits.FOLDS, EMULATED_MAX, plan["seed"])
        if few:
            say(f"left out, fewer than {splits.FOLDS} captures: {', '.join(few)}")
        captures += chosen
        digest = data.digest_of_files([Path(path) for path in entry["files"]])
        sets.append({
            "name": entry["name"],
            "real": entry["real"],
            "origin": entry["origin"],
            "captures": len(entry["files"]),
            "sha256": digest,
        })
    return names, captures, sets


def keep_out(names, captures, fused, seed):
    """What models thought of captures they were not trained on, by split."""
    def run(what, found):
        say(f"kept out: {what}")
        return found

    return {
        "session": run("sessions", splits.by_session(names, captures, fused, seed)),
        "unit": run("units", splits.unseen_units(names, captures, fused, seed)),
        "time": run("later halves", splits.later(names, captures, fused, seed)),
        "model": run("types", splits.leaving_out(names, captures, fused, seed, splits.by_kind(captures))),
        "maker": run("makers", splits.leaving_out(names, captures, fused, seed, splits.by_maker(captures))),
    }


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
