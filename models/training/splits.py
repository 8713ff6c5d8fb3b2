"""Who is kept out of training, and what models trained without him think of him."""

from .data import DEPTHS, folds
from .model import Model

FOLDS = 5
GROUPS = 6


def looks(names, captures, fusion, seed, train, test):
    """Looks at the test captures, by index and depth, of a model trained on the others."""
    model = Model(names, fusion, seed).fit([captures[i] for i in train])
    found = {}
    for depth in DEPTHS:
        for index, look in zip(test, model.look([captures[i].at(depth) for i in test])):
            found[index, depth] = look
    return found


def by_session(names, captures, fusion, seed):
    """New sessions of known units."""
    number = folds(captures, FOLDS, seed)
    found = {}
    for fold in range(FOLDS):
        train = [i for i, n in enumerate(number) if n != fold]
        test = [i for i, n in enumerate(number) if n == fold]
        found |= looks(names, captures, fusion, seed, train, test)
    return found


def leaving_out(names, captures, fusion, seed, key):
    """Each group of captures as seen by a model that never saw the group."""
    groups = [key(capture) for capture in captures]
    found = {}
    for group in sorted(set(groups)):
        train = [i for i, of in enumerate(groups) if of != group]
        test = [i for i, of in enumerate(groups) if of == group]
        found |= looks(names, captures, fusion, seed, train, test)
    return found


def by_kind(captures):
    """Real types are left out one by one, emulated ones several at a time: of each role one, so
    that the role stays known by its others."""
    place = {}
    for role in sorted({capture.role for capture in captures}):
        kinds = sorted({c.kind for c in captures if c.role == role and not c.real})
        place |= {kind: f"emulated {index % GROUPS}" for index, kind in enumerate(kinds)}
    return lambda capture: capture.kind if capture.real else place[capture.kind]


def by_maker(captures):
    """Real makers one by one, emulated ones several at a time."""
    makers = sorted({capture.maker for capture in captures if not capture.real})
    place = {maker: f"emulated {index % GROUPS}" for index, maker in enumerate(makers)}
    return lambda capture: capture.maker if capture.real else place[capture.maker]


def unseen_units(names, captures, fusion, seed):
    """Units of which another of the same type is in training."""
    units = {}
    for capture in captures:
        # Each recording of the ward has units of its own: those are its sessions.
        if capture.real:
            units.setdefault(capture.kind, set()).add(capture.unit)
    found = {}
    for kind in sorted(units):
        # Two labels of one MAC address are one unit with its radio devices.
        for unit in sorted(units[kind]) if len(units[kind]) > 1 else ():
            train = [i for i, capture in enumerate(captures) if capture.unit != unit]
            test = [i for i, capture in enumerate(captures) if capture.unit == unit]
            found |= looks(names, captures, fusion, seed, train, test)
    return found


def later(names, captures, fusion, seed):
    """The later half of each type's captures as seen by a model of the earlier half."""
    by_kind = {}
    train, test = [], []
    for index, capture in enumerate(captures):
        if capture.real:
            by_kind.setdefault(capture.kind, []).append(index)
        else:
            train.append(index)
    for kind in sorted(by_kind):
        order = sorted(by_kind[kind], key=lambda i: captures[i].began)
        half = max(2, len(order) // 2)
        train += order[:half]
        test += order[half:]
    return looks(names, captures, fusion, seed, train, test)
