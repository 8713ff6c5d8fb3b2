"""models/REPORT.md and the model card, from what was measured."""

from .data import DEPTHS
from .evaluate import UNKNOWN

SPLITS = {
    "session": "new session of a known unit",
    "unit": "unseen unit of a known type",
    "time": "later half, trained on the earlier half",
    "model": "unseen type (leave one out)",
    "maker": "unseen maker (leave one out)",
}
KNOWN_TYPES = ("session", "unit", "time")
"""Splits in which the type of a capture is among those trained on."""
NOUNS = {"model": "type", "maker": "maker"}
NO_EMULATED = {
    "unit": "each recording of the ward has units of its own: its new sessions are new units",
    "time": "recordings of the ward are made by seeds and have no order in time",
}
"""Why a split is not measured on emulated devices."""
CHANGES = (
    "Changes are those from one role to another between the answers after 20, 60, 300 and all packets, "
    "without the hysteresis of the gateway, which looks once a second and names a role that nothing proves "
    "only after three looks in a row: what devices said from second to second is not in the data. Captures "
    "last minutes and begin when a device is switched on, so a day of them is no usual day."
)
NO_EMULATED_TYPES = "types of emulated devices are no products and are never named"
WAYS = ("fused", "evidence only", "model only", "model only, always answering")


def depth_name(depth):
    return "all" if depth is None else str(depth)


def number(value):
    return "–" if value is None else f"{value:.3f}"


def interval(pair):
    value, bounds = pair
    return number(value) if bounds is None else f"{value:.3f} ({bounds[0]:.2f}–{bounds[1]:.2f})"


def percent(value):
    return "–" if value is None else f"{100 * value:.1f} %"


def percents(pair):
    value, bounds = pair
    if bounds is None:
        return percent(value)
    return f"{100 * value:.1f} % ({100 * bounds[0]:.0f}–{100 * bounds[1]:.0f})"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def unmeasured(results, split):
    """What stands in place of figures: "not measured" and why."""
    why = "no captures for it"
    if not results.real:
        why = NO_EMULATED.get(split, why)
    return f"not measured: {why}"


def without_figures(header, first):
    """A row of a table that says only what `first` does."""
    return [*first, *["–"] * (len(header) - len(first))]


def counted(counter):
    return ", ".join(f"{a} as {b} ({n})" for (a, b), n in sorted(counter.items())) or "none"


def types(results):
    lines = ["### Type", ""]
    rows = []
    for split in KNOWN_TYPES:
        for depth in DEPTHS:
            scores = results.type_scores(split, depth)
            if scores:
                rows.append([
                    SPLITS[split], depth_name(depth), scores["captures"], interval(scores["macro F1"]),
                    percent(scores["coverage"]), number(scores["calibration error"]),
                ])
    lines += table(["split", "packets", "captures", "macro F1 (95 %)", "named", "ECE"], rows)
    lines += ["A device that is not named counts as missed.", ""]
    full = results.type_scores("session", None)
    if full:
        early = results.type_scores("session", 20)
        rows = [
            [kind, percent(early["recall"].get(kind)), percent(recall)]
            for kind, recall in full["recall"].items()
        ]
        lines += ["Recall of each type on new sessions:", ""]
        lines += table(["type", "20 packets", "all"], rows)
    return lines


def type_baselines(results):
    ways = {}
    for depth in (20, None):
        scores = {n: s["macro F1"] for n, s in results.baselines("session", depth, lambda c: c.kind).items()}
        scores |= results.type_ways(depth)
        scores["fused, with unknown"] = results.type_scores("session", depth)["macro F1"][0]
        for name, f1 in scores.items():
            ways.setdefault(name, {})[depth] = f1
    rows = [[name, number(f1.get(20)), number(f1.get(None))] for name, f1 in ways.items()]
    header = ["types on new sessions, macro F1", "20 packets", "all"]
    return table(header, rows)


def rejection(results):
    lines = ["### Unknown types", ""]
    rows, who = [], None
    for depth in DEPTHS:
        scores = results.rejection(depth)
        if scores:
            who = scores["who"]
            rows.append([
                depth_name(depth), percent(scores["coverage"]), percents(scores["taken for known"]),
                percent(scores[0.90]), percent(scores[0.95]), percent(scores[0.98]), number(scores["AUROC"]),
            ])
    if not rows:
        return []
    header = [
        "packets", "known named", "unknown named (95 %)",
        "unknown let through at 90 % of known", "at 95 %", "at 98 %", "AUROC",
    ]
    lines += ["Each type in turn is left out of training and of the judge of novelty.", ""]
    return [*lines, *table(header, rows), f"Named on whole captures: {counted(who)}.", ""]


def roles(results):
    lines = ["### Role", ""]
    header = [
        "split", "way", "packets", "macro F1 (95 %)", "named", "wrong role (95 %)", "set holds the truth", "ECE",
    ]
    rows = []
    for split in SPLITS:
        found = [(way, depth, results.role_scores(split, depth, way)) for way in WAYS for depth in DEPTHS]
        if not any(scores for *_, scores in found):
            rows.append(without_figures(header, [SPLITS[split], unmeasured(results, split)]))
        for way, depth, scores in found:
            if scores:
                rows.append([
                    SPLITS[split], way, depth_name(depth), interval(scores["macro F1"]),
                    percent(scores["coverage"]), percents(scores["wrong"]),
                    percent(scores["set holds the truth"]), number(scores["calibration error"]),
                ])
    lines += table(header, rows)
    lines += ["ECE: how far the probability of the best role and how often it is right are apart.", ""]
    for split in ("model", "maker"):
        scores = results.role_scores(split, None, "fused")
        if scores:
            recalls = ", ".join(f"{role} {percent(value)}" for role, value in scores["recall"].items())
            lines += [f"Fused, {SPLITS[split]}, whole captures: recall {recalls}.", ""]
            mistakes = ", ".join(
                f"{depth_name(depth)} packets: {counted(found['mistakes'])}"
                for depth in DEPTHS if (found := results.role_scores(split, depth, "fused"))
            )
            lines += [f"Mistakes, {SPLITS[split]}: {mistakes}.", ""]
            if scores["lone"]:
                lone = ", ".join(sorted(scores["lone"]))
                lines += [f"Macro F1 over the roles that have another {NOUNS[split]} to learn from, that is "
                          f"without {lone}: {interval(scores['macro F1, learnable'])}.", ""]
    lines += role_baselines(results)
    return lines


def role_baselines(results):
    rows = []
    for split in ("model", "maker"):
        for name, scores in results.baselines(split, None, lambda c: c.role).items():
            rows.append([SPLITS[split], name, number(scores["macro F1"]), percent(scores["wrong"])])
    return table(["split", "simpler means, whole captures", "macro F1", "wrong role"], rows) if rows else []


def pace(results):
    header = [
        "split", "ever named right", "packets until then (median / 90 %)", "seconds (median / 90 %)",
        "role changes in device-days", "a device and day",
    ]
    rows = []
    for split in SPLITS:
        time, changes = results.time_to_decision(split), results.changes(split)
        if not time:
            rows.append(without_figures(header, [SPLITS[split], unmeasured(results, split)]))
            continue
        rows.append([
            SPLITS[split], percent(time["named"]),
            " / ".join(f"{p:.0f}" for p in time["packets"]),
            " / ".join(f"{s:.1f}" for s in time["seconds"]),
            f"{changes['changes']} in {changes['device-days']:.2f}",
            f"{changes['a device and day']:.1f}",
        ])
    return ["### Time to decision", "", *table(header, rows), CHANGES, ""]


def section(title, note, results):
    lines = [f"## {title}", "", note, ""]
    if not results.chosen:
        return [*lines, "No captures of this sort were there when the models were trained.", ""]
    captures = [results.trained.captures[i] for i in results.chosen]
    kinds = {capture.kind for capture in captures}
    lines += [f"{len(captures)} captures of {len(results.units())} units, {len(kinds)} types, "
              f"{len({c.role for c in captures})} roles, {len({c.maker for c in captures})} makers "
              "by the registry of addresses.", ""]
    if results.real:
        lines += [*types(results), *type_baselines(results), *rejection(results)]
    else:
        lines += ["### Type", "", f"Not measured: {NO_EMULATED_TYPES}.", ""]
        lines += ["### Unknown types", "", f"Not measured: {NO_EMULATED_TYPES}.", ""]
    return [*lines, *roles(results), *pace(results)]


def report(tables, sets, trained, seed):
    lines = [
        "# What the models reach",
        "",
        "Written by `cargo xtask train`; not edited by hand. Real and emulated devices are never in one "
        f"figure. Seed {seed}. Intervals are 95 % over devices, drawn anew with replacement. Networks, "
        "lexicon, fusion and judge of novelty are trained without the captures they are measured on; a "
        "handful of constants of the decision (`calibration.json`) is fitted over all splits together. The "
        "tables of evidence were written by hand from published sources, by people who could see these "
        "captures: figures for unseen types and makers hold for the network and the lexicon in full, for "
        "the evidence only as far as its rules are general.",
        "",
        "Data:",
        "",
    ]
    rows = [[s["name"], "real" if s["real"] else "emulated", s["captures"], f"`{s['sha256'][:16]}…`", s["origin"]] for s in sets]
    lines += table(["set", "sort", "captures", "SHA-256 over all files", "origin"], rows)
    for title, note, results in tables:
        lines += section(title, note, results)
    lines += [
        "## Limits",
        "",
        "- The real devices are consumer devices recorded while they were set up, in one laboratory. They "
        "prove the method on real traffic; they say nothing about infusion pumps.",
        "- Results on emulated devices say how well the program tells our own emulators apart. Their TCP "
        "stack is Linux; its numbers are replaced by random ones in training. Their types are no products, so "
        "the program never names them; they stand for the ways in which a role can be played.",
        "- Two of the real types with the same network module differ in nothing but what they answer to "
        "their vendor's discovery. Until they have answered it, one is taken for the other.",
        "- A new firmware can be a new device to the model: it is then not named, and evidence decides.",
        "- What a device asks a local name server for differs from site to site; more devices than here "
        "will be called new on other networks until the model is trained there.",
        "",
    ]
    return "\n".join(lines)


def card(tables, sets, trained, model, seed, files):
    """CycloneDX 1.6 with a model card."""
    metrics = []

    def metric(kind, value, bounds, part):
        entry = {"type": kind, "value": f"{value:.4f}", "slice": part}
        if bounds is not None:
            entry["confidenceInterval"] = {"lowerBound": f"{bounds[0]:.4f}", "upperBound": f"{bounds[1]:.4f}"}
        metrics.append(entry)

    for title, _, results in tables:
        if not results.chosen:
            continue
        for depth in DEPTHS:
            part = f"{title}, {depth_name(depth)} packets"
            for split in KNOWN_TYPES if results.real else ():
                scores = results.type_scores(split, depth)
                if scores:
                    metric("type macro F1", *scores["macro F1"], f"{part}, {SPLITS[split]}")
                    metric("types named", scores["coverage"], None, f"{part}, {SPLITS[split]}")
                    metric("expected calibration error, types", scores["calibration error"], None, f"{part}, {SPLITS[split]}")
            refused = results.rejection(depth) if results.real else None
            if refused:
                metric("unknown types taken for known", *refused["taken for known"], part)
            for split in SPLITS:
                scores = results.role_scores(split, depth, "fused")
                if not scores:
                    continue
                place = f"{part}, {SPLITS[split]}"
                metric("role macro F1, fused", *scores["macro F1"], place)
                if scores["lone"]:
                    metric("role macro F1, fused, roles with another to learn from", *scores["macro F1, learnable"], place)
                metric("roles named, fused", scores["coverage"], None, place)
                metric("wrong role, fused", *scores["wrong"], place)
                metric("expected calibration error, roles, fused", scores["calibration error"], None, place)
        for split in SPLITS:
            time = results.time_to_decision(split)
            place = f"{title}, {SPLITS[split]}"
            if time:
                metric("ever named right, fused", time["named"], None, place)
                for unit in ("packets", "seconds"):
                    for name, value in zip(("median", "90 %"), time[unit]):
                        metric(f"time to decision, {unit}, {name}", value, None, place)
    datasets = [
        {
            "type": "dataset",
            "name": s["name"],
            "classification": "real" if s["real"] else "emulated",
            "description": f"{s['origin']}; {s['captures']} captures; SHA-256 over all files {s['sha256']}",
        }
        for s in sets
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [{
            "type": "machine-learning-model",
            "name": "wardline",
            "description": "What a device is, from 64 numbers of its traffic and from what it says of itself",
            "hashes": [{"alg": "SHA-256", "content": files["model.onnx"]}],
            "components": [
                {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}
                for name, digest in sorted(files.items())
            ],
            "modelCard": {
                "modelParameters": {
                    "approach": {"type": "supervised"},
                    "task": "classification",
                    "architectureFamily": "multilayer perceptron, averaged over several, with a linear lexicon",
                    "modelArchitecture": "64 numbers, two hidden layers, heads for types, roles and place",
                    "datasets": datasets,
                    "inputs": [{"format": "64 float32 numbers"}, {"format": "facts as field=value"}],
                    "outputs": [
                        {"format": f"log-odds of {len(model.kinds)} types"},
                        {"format": f"log-odds of {len(model.network.roles)} roles"},
                        {"format": "place among the windows of training, 64 float32 numbers"},
                    ],
                },
                "quantitativeAnalysis": {"performanceMetrics": metrics},
                "considerations": {
                    "users": ["The classifier of Wardline"],
                    "useCases": ["Naming types seen in training, as a second voice beside evidence", "Noticing what is like none of them"],
                    "technicalLimitations": [
                        "Does not name roles of unseen makers; evidence does",
                        "Never authorises enforcement by itself",
                        "Real data are consumer devices during set-up in one laboratory; clinical devices are emulated",
                    ],
                    "performanceTradeoffs": [f"Seed {seed}; an answer of {UNKNOWN} is preferred to a wrong one"],
                },
            },
        }],
    }
