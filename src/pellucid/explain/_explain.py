"""The building blocks put together for one image."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..attribution import Method
from ..errors import InputError, TargetError
from ..events import Progress, silent
from ..models import Model, usual_layers
from ..models._view import Picture, View, view
from ..store import SHIPPED, RenderCache
from ._analyse import Analysis, analyse_layer, analyse_pair, decide, timed
from ._draw import Pictures, Plan, count_missing, draw, plan_pictures, sketch
from ._explanation import Explanation
from ._icons import ICON_SIZE, ICON_STEPS, QUICK, Look
from ._parts import SemanticDictionary

_TOP_CLASSES = 5
_MOST_GROUPS = 12
_GRID_SECONDS = 20.0
# Where more icons are to be rendered, a first look is worth the time that it takes.
_MANY_ICONS = 150


def explain(
    model: Model,
    image: Picture,
    *,
    layers: str | Sequence[str] | None = None,
    classes: Sequence[int | str] | None = None,
    n_groups: int = 6,
    method: Method = "linear",
    quick: bool = False,
    icon_size: int = ICON_SIZE,
    icon_steps: int = ICON_STEPS,
    grid_seconds: float = _GRID_SECONDS,
    evidence: bool = True,
    seed: int = 0,
    cache: RenderCache | None = SHIPPED,
    preview: Callable[[Explanation], None] | None = None,
    partial: Callable[[Explanation], None] | None = None,
    progress: Progress = silent,
) -> Explanation:
    """What a model sees in an image, why it decides as it does, and what happens when parts of that are taken away.

    Args:
        model: from `pellucid.load` or `pellucid.wrap`; it comes back as it was.
        image: a file, a Pillow image, or an array [channels, height, width] in [0, 1].
        layers: one or more layers with positions; by default one from the upper middle of the network and an earlier
            one of as many positions.
        classes: numbers or labels to explain; by default the five most probable. Two are set against each other.
        n_groups: how many groups of each layer are shown first; all numbers from 2 to 12 are there to choose.
        method: of attribution to the classes: `linear`, `integrated` or `relaxed`; see `attribute`.
        quick: coarser icons, and grids that are put together from them: a first look, in a fraction of the time.
        icon_size, icon_steps: of rendered icons, px and optimizer steps.
        grid_seconds: how long the activation grid of each layer may take; 0 puts it together from icons.
        evidence: put what is said to the test, after all else is there; without, `Explanation.judged` does so when it
            is asked.
        seed: of all randomness.
        cache: where icons are looked for, and kept once rendered. By default those that come with the package are taken
            and none are kept; `RenderCache()` keeps them too, `None` renders every one anew.
        preview: is given the quick explanation first, where more than 150 icons have to be rendered.
        partial: is given what is there so far, again and again: the answers alone, then the layers that are analysed,
            with grey squares for icons that are not drawn yet, and activation grids as they are finished. Only the
            finished explanation has evidence.
        progress: receives events.

    Raises:
        InputError: the image cannot be read or does not fit; a class named twice; a layer that is zero on this image;
            more groups than positions or channels; another setting that does not fit.
        TargetError: no such layer or class, or a layer without positions.
        ModelError: the model's output is not logits.

    Source: Olah et al., The Building Blocks of Interpretability, Distill 2018, doi 10.23915/distill.00010.

    Example:
        >>> explanation = pellucid.explain(model, "photo.jpg", layers=["mixed4a", "mixed4d"])   # doctest: +SKIP
        >>> explanation.save("report.html")                                                     # doctest: +SKIP
        PosixPath('report.html')
    """
    seen = view(model, image)
    names = _layer_names(model, layers)
    chosen = _class_numbers(model, classes)
    if method not in ("linear", "integrated", "relaxed"):
        raise InputError(f"no method {method!r} for an explanation; choose linear, integrated or relaxed.")
    if not 0 <= grid_seconds < float("inf"):
        raise InputError(f"grid_seconds is {grid_seconds}; expected 0 or more.")
    analysis = decide(model, seen.image, names, chosen, _TOP_CLASSES)
    settings = {"layers": list(names), "classes": chosen, "n_groups": n_groups, "method": method, "seed": seed}
    look = QUICK if quick else Look(icon_size, icon_steps)

    def tell(layers: Sequence[str]) -> None:
        """Give away what is known of the first layers."""
        if partial is not None:
            so_far = replace(analysis, names=tuple(layers))
            plan = plan_pictures(so_far, look, n_groups)
            pictures = sketch(plan, model, seed=seed, cache=cache)
            partial(_put_together(model, seen, so_far, plan, pictures, analysis.seconds, settings))

    tell(())
    counts = {name: _group_counts(analysis, name, n_groups) for name in names}
    for name in names:
        analyse_layer(
            analysis,
            model,
            seen.image,
            name,
            method=method,
            counts=counts[name],
            seed=seed,
            progress=progress,
        )
        tell(names[: names.index(name) + 1])
    for lower, upper in itertools.pairwise(names):
        analyse_pair(analysis, model, seen.image, lower, upper, method=method, progress=progress)
    rough: tuple[Plan, Pictures] | None = None

    def drawn(plan: Plan, budget: float) -> Explanation:
        nonlocal rough
        seconds = dict(analysis.seconds)
        more = {"icon_size": plan.look.size, "icon_steps": plan.look.steps, "grid_seconds": budget}
        sketched = sketch(plan, model, seed=seed, cache=cache, rough=rough) if partial is not None else None

        def step(pictures: Pictures) -> None:
            """Give away what is drawn so far."""
            if partial is not None and sketched is not None:
                icons = {**sketched.icons, **pictures.icons}
                group_icons = {**sketched.group_icons, **pictures.group_icons}
                found = Pictures(icons, group_icons, dict(pictures.grids))
                partial(_put_together(model, seen, analysis, plan, found, seconds, {**settings, **more}))

        step(Pictures({}, {}, {}))
        pictures = draw(
            plan,
            analysis,
            model,
            grid_seconds=budget,
            seed=seed,
            cache=cache,
            seconds=seconds,
            step=step,
            progress=progress,
        )
        rough = plan, pictures
        return _put_together(model, seen, analysis, plan, pictures, seconds, {**settings, **more})

    plan = plan_pictures(analysis, look, n_groups)
    if quick:
        finished = drawn(plan, 0.0)
        return finished.judged(progress=progress) if evidence else finished
    wanted = preview is not None or partial is not None
    if wanted and count_missing(plan, model, seed=seed, cache=cache) > _MANY_ICONS:
        with timed(analysis.seconds, "preview"):
            first = drawn(plan_pictures(analysis, QUICK, n_groups), 0.0)
            if preview is not None:
                preview(first)
    finished = drawn(plan, grid_seconds)
    return finished.judged(progress=progress) if evidence else finished


def _put_together(
    model: Model,
    seen: View,
    analysis: Analysis,
    plan: Plan,
    pictures: Pictures,
    seconds: Mapping[str, float],
    settings: Mapping[str, Any],
) -> Explanation:
    chosen = settings["classes"]
    return Explanation(
        title=seen.title,
        model=model,
        photo=seen.photo,
        image=seen.image,
        classes=analysis.scores,
        versus=(chosen[0], chosen[1]) if len(chosen) == 2 else None,
        layers=analysis.names,
        activations={name: analysis.recorded[name].values[0] for name in analysis.names},
        attributions=dict(analysis.attributions),
        maps=dict(analysis.maps),
        dictionaries={
            name: SemanticDictionary(
                model.layer(name), analysis.recorded[name].values[0], plan.top[name], pictures.icons[name]
            )
            for name in analysis.names
        },
        grids=pictures.grids,
        told=dict(analysis.told),
        groupings=dict(analysis.groupings),
        n_groups=settings["n_groups"],
        influences=dict(analysis.influences),
        channel_links=dict(analysis.channel_links),
        flows=dict(analysis.flows),
        experiments=tuple(analysis.experiments),
        icons=pictures.icons,
        group_icons=pictures.group_icons,
        group_icon_places=plan.places,
        seconds={key: round(value, 3) for key, value in seconds.items()},
        settings=settings,
    )


def _layer_names(model: Model, layers: str | Sequence[str] | None) -> tuple[str, ...]:
    """The layers' own names in the order of the network."""
    names = [layers] if isinstance(layers, str) else list(layers or usual_layers(model))
    for name in names:
        if model.layer(name).kind == "vector":
            raise TargetError(
                f"{name} has no positions; choose a layer that `pellucid layers` lists as grid or tokens."
            )
    own = {model.layer(name).name for name in names}
    return tuple(name for name in model.layers if name in own)


def _class_numbers(model: Model, classes: Sequence[int | str] | None) -> list[int]:
    if isinstance(classes, str | int):
        classes = [classes]
    chosen = [model.class_index(label) for label in classes or ()]
    for number in chosen:
        if chosen.count(number) > 1:
            raise InputError(f"{model.label(number)} is named twice; name different classes.")
    return chosen


def _group_counts(analysis: Analysis, name: str, n_groups: int) -> list[int]:
    """The numbers of groups to find: 2 to 12 and the wanted one, as far as the layer has positions and channels."""
    rows, columns, channels = analysis.recorded[name].values[0].shape
    most = min(rows * columns, channels)
    if n_groups < 1:
        raise InputError(f"n_groups is {n_groups}; expected 1 or more.")
    if n_groups > most:
        raise InputError(
            f"{n_groups} groups are more than {name} can have: {rows}×{columns} positions, {channels} channels; "
            f"ask for at most {most}."
        )
    return sorted({*range(2, min(_MOST_GROUPS, most) + 1), n_groups})
