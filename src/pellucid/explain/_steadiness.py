"""Whether an explanation stays when the photo hardly changes, and falls when the network forgets what it learned."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor

from ..attribution import Attribution
from ..attribution._removal import measure_removals
from ..errors import ModelError
from ..record import Tail
from ..trust import Evidence, Randomization, correlation
from ..trust._evidence import as_said
from ..trust._randomized import randomized
from ..trust._rendered import scramble
from ..trust._stability import compared, small_changes as changed_photos, turned
from ._case import Case
from ._parts import ClassScore

# One photo with noise, a brighter and a darker one, and one moved to each side by a pixel.
_CHANGES = {"noise": 0.02, "brightness": 0.05, "contrast": 0.0, "shift": 1, "copies": 1}
# Of the random sets of positions, those of the middle size are removed on the changed photos.
_SIZE = 1
# What attribution is summed up to, by the panel that shows it.
_SUMS = {"spatial": Attribution.positions, "channels": Attribution.by_channel}
# A photo that shows the same things elsewhere, and for channels, which do not ask where, one that shows nothing.
_CONTROLS = {
    "spatial": (turned, "that of the photo turned upside down"),
    "channels": (lambda photo: scramble(photo[None], 0)[0], "that of the photo scattered (same colours and spectrum)"),
}
# How far down the network is random: the last third of its parts with weights, two thirds, all of it.
_STAGES = 3


def small_changes(case: Case) -> Iterator[Evidence]:
    """Whether maps and channels stay the same when the photo changes so little that nobody would mind."""
    changes = changed_photos(case.explanation.image, **_CHANGES, seed=case.seed)
    photo = case.explanation.image
    told = [_on_view(case, view) for view in (photo, *(view for _, view in changes))]
    controls = {panel: _on_view(case, control(photo)) for panel, (control, _) in _CONTROLS.items()}
    what = [name for name, _ in changes]
    for number, score in enumerate(case.scores):
        lost = [measured[number] for _, measured in (*told, controls["spatial"])]
        yield _foretold(case, score, what, np.stack(lost))
        for panel, sums in _SUMS.items():
            usual, *changed = [sums(found[number]) for found, _ in told]
            found = compared(what, usual, changed, sums(controls[panel][0][number]))
            about, words = case.about(panel, score), _words(case, panel, score)
            yield _named(case, panel, found.evidence(about, words, _CONTROLS[panel][1]))


def _on_view(case: Case, view: Tensor) -> tuple[list[Attribution], np.ndarray]:
    """Attribution on a view of the photo, and what random sets of its positions add: [classes, sets]."""
    tail = case.tail.on(view)
    return case.attribute(view, tail), measure_removals(tail, case.pairs, case.sets[_SIZE], batch_size=32)


def _foretold(case: Case, score: ClassScore, changes: list[str], lost: np.ndarray) -> Evidence:
    """Whether the map that agrees with removals foretells them on changed photos, too.

    Args:
        lost: [views, sets], of the photo, then the changed ones, then the one that was turned.
    """
    said = case.sets[_SIZE] @ case.explanation.maps[case.name][score.index].positions().ravel()
    usual, *changed, control = (correlation(said, measured) for measured in lost)
    worst = int(np.argmin(changed))
    return Evidence(
        about=case.about("spatial", score),
        name="agreement on changed photos",
        value=round(changed[worst], 4),
        control=round(control, 4),
        sentence=(
            f"The photo was changed a little in {len(changes)} ways, and {lost.shape[1]} random sets of positions "
            f"removed from each: with what this map of the unchanged photo says of {score.label}, that correlates at "
            f"{as_said(changed[worst])} in the worst case ({changes[worst]}), at {as_said(usual)} on the photo itself, "
            f"and at {as_said(control)} on the photo turned upside down."
        ),
    )


def random_networks(case: Case) -> Iterator[Evidence]:
    """Whether attribution changes when the network's weights become random; nothing where it cannot be copied.

    Stages at which a number is not finite, as deep networks may have them then, are left out.
    """
    image, strength = case.explanation.image, _strength(case.values)
    usual = case.attribute(image, case.tail)
    modules: list[str] = []
    similar: dict[str, list[list[float]]] = {panel: [] for panel in _SUMS}
    controls: dict[str, list[float]] = {panel: [] for panel in _SUMS}
    try:
        for path, network in randomized(case.model, stages=_STAGES, seed=case.seed):
            found = case.attribute(image, Tail(network, image, layer=case.name))
            if not all(np.isfinite(each.values).all() for each in found):
                continue
            modules.append(path)
            now = _strength(found[0].activations)
            for panel, sums in _SUMS.items():
                pairs = zip(found, usual, strict=True)
                similar[panel].append([correlation(sums(one), sums(other)) for one, other in pairs])
                controls[panel].append(correlation(now[panel], strength[panel]))
    except ModelError:
        return
    if not modules:
        return
    for number, score in enumerate(case.scores):
        for panel in _SUMS:
            alike = np.array(similar[panel])[None, :, number]
            found = Randomization(tuple(modules), alike, np.array(controls[panel])[None])
            about, words = case.about(panel, score), _words(case, panel, score)
            yield _named(case, panel, found.evidence(about, words, "mere strength of activation"))


def _strength(values: np.ndarray) -> dict[str, np.ndarray]:
    """How strongly each position and each channel fires."""
    return {"spatial": np.linalg.norm(values, axis=2), "channels": values.sum((0, 1))}


def _words(case: Case, panel: str, score: ClassScore) -> str:
    """What is compared."""
    return f"the map of {case.method} attribution" if panel == "spatial" else f"what channels add to {score.label}"


def _named(case: Case, panel: str, entry: Evidence) -> Evidence:
    """Of a map, the measure says which: there is another that agrees with removals."""
    return replace(entry, name=f"{entry.name}, {case.method}") if panel == "spatial" else entry
