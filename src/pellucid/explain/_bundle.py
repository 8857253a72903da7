"""An explanation as a bundle, and from there as a page."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..app import save_bundle
from ..attribution import Attribution
from ..bundle import (
    Bundle,
    ChannelLinks,
    ChannelPanel,
    ClassMap,
    ClassScore,
    DictionaryPanel,
    Effects,
    EvidenceEntry,
    ExplanationBody,
    ExplanationManifest,
    Flow,
    GridPanel,
    Grouping,
    GroupPanel,
    IconSheet,
    Influence,
    LayerCard,
    ModelCard,
    Photo,
    Provenance,
    RemovalCurves,
    SpatialPanel,
    pack_numbers,
)
from ..groups import Groups
from ..pictures import to_picture
from ._draw import heaviest
from ._explanation import Explanation
from ._parts import Experiments, Icons, LayerFlow

_SHEET_COLUMNS = 12
# What transparent icons stand on: a light paper that neither a light nor a dark page fights with.
_GROUND = 0.95


def to_bundle(explanation: Explanation) -> Bundle:
    """The bundle of an explanation: what the page reads."""
    from .. import __version__

    files = {"photo.webp": _webp(explanation.photo)}
    for number, name in enumerate(explanation.layers):
        files[f"icons-{number}.webp"] = _webp(sprite(explanation.icons[name]))
        files[f"groups-{number}.webp"] = _webp(sprite(explanation.group_icons[name]))
        if name in explanation.grids:
            files[f"grid-{number}.webp"] = _webp(to_picture(explanation.grids[name].image))
    model = explanation.model
    manifest = ExplanationManifest(
        provenance=Provenance(
            model=model.name,
            weights=model.digest,
            settings=dict(explanation.settings),
            seed=explanation.settings["seed"],
            versions={"pellucid": __version__, "torch": str(torch.__version__), "python": platform.python_version()},
            seconds=round(sum(explanation.seconds.values()), 3),
            created=datetime.now(UTC),
        ),
        body=ExplanationBody(
            title=explanation.title,
            photo=Photo(file="photo.webp", width=explanation.photo.width, height=explanation.photo.height),
            model=ModelCard(
                name=model.name, input_rows=explanation.image.shape[1], input_columns=explanation.image.shape[2]
            ),
            classes=[ClassScore(**vars(score)) for score in explanation.classes],
            versus=explanation.versus,
            layers=[_layer_card(explanation, number) for number in range(len(explanation.layers))],
            dictionaries=[
                DictionaryPanel(
                    layer=name,
                    top=entry.top.tolist(),
                    values=_rounded(np.take_along_axis(entry.activations, entry.top, 2), 4),
                )
                for name, entry in explanation.dictionaries.items()
            ],
            grids=[
                _grid_panel(explanation, number)
                for number, name in enumerate(explanation.layers)
                if name in explanation.grids
            ],
            spatial=[
                SpatialPanel(
                    layer=name,
                    method=explanation.settings["method"],
                    maps=_class_maps(maps),
                    removal=_class_maps(explanation.maps[name]),
                )
                for name, maps in explanation.attributions.items()
            ],
            influences=[
                Influence(lower=lower, upper=upper, values=pack_numbers(values))
                for (lower, upper), values in explanation.influences.items()
            ],
            channels=[_channel_panel(explanation, name) for name in explanation.layers],
            channel_links=[
                ChannelLinks(lower=lower, upper=upper, values=pack_numbers(values))
                for (lower, upper), values in explanation.channel_links.items()
            ],
            groups=[_group_panel(explanation, number) for number in range(len(explanation.layers))],
            flows=[_flow(explanation, flow) for flow in explanation.flows.values()],
            effects=[_effects(explanation, each) for each in explanation.experiments],
            evidence=[EvidenceEntry(**vars(entry)) for entry in explanation.evidence],
            curves=[
                RemovalCurves(
                    layer=name,
                    class_index=index,
                    **{key: _rounded(values, 4) for key, values in vars(curves).items()},
                )
                for name, found in explanation.curves.items()
                for index, curves in found.items()
            ],
            seconds=dict(explanation.seconds),
        ),
    )
    return Bundle(manifest, files)


def save(explanation: Explanation, path: Path) -> Path:
    """Write a page (`.html`) or a bundle (`.zip`, folder)."""
    return save_bundle(to_bundle(explanation), path)


def _layer_card(explanation: Explanation, number: int) -> LayerCard:
    name = explanation.layers[number]
    rows, columns, channels = explanation.activations[name].shape
    sheet = sheet_of(explanation.icons[name], f"icons-{number}.webp")
    return LayerCard(name=name, rows=rows, columns=columns, channels=channels, icons=sheet)


def _grid_panel(explanation: Explanation, number: int) -> GridPanel:
    grid = explanation.grids[explanation.layers[number]]
    return GridPanel(
        layer=explanation.layers[number],
        file=f"grid-{number}.webp",
        side=grid.side,
        strength=pack_numbers(np.clip(grid.strength, 0, 1)),
        optimized=bool(len(grid.objective)),
    )


def _class_maps(maps: Mapping[int, Attribution]) -> list[ClassMap]:
    return [ClassMap(class_index=index, values=_rounded(each.positions(), 6)) for index, each in maps.items()]


def _channel_panel(explanation: Explanation, name: str) -> ChannelPanel:
    told = list(explanation.told[name])
    maps = explanation.attributions[name].values()
    return ChannelPanel(
        layer=name,
        channels=told,
        attribution=pack_numbers(np.stack([map_.by_channel()[told] for map_ in maps])),
        firing=pack_numbers(explanation.activations[name][:, :, told].transpose(2, 0, 1)),
    )


def _group_panel(explanation: Explanation, number: int) -> GroupPanel:
    name = explanation.layers[number]
    groupings = explanation.groupings[name]
    return GroupPanel(
        layer=name,
        icons=sheet_of(explanation.group_icons[name], f"groups-{number}.webp"),
        groupings=[_grouping(explanation, name, groups, (count, False)) for count, groups in groupings.items()],
        usual=min(explanation.n_groups, max(groupings)),
    )


def _grouping(explanation: Explanation, name: str, groups: Groups, key: tuple[int, bool]) -> Grouping:
    maps = explanation.attributions[name].values()
    shown = explanation.icons[name].keys
    return Grouping(
        spatial=pack_numbers(np.maximum(groups.spatial[0], 0).transpose(2, 0, 1)),
        icons=list(explanation.group_icon_places[name][key]),
        channels=[heaviest(vector, shown) for vector in groups.channels],
        attribution=pack_numbers(np.stack([map_.by_group(groups) for map_ in maps])),
        error=round(max(0.0, groups.error), 6),
    )


def _flow(explanation: Explanation, flow: LayerFlow) -> Flow:
    above, below = explanation.groupings[flow.upper], explanation.groupings[flow.lower]
    return Flow(
        lower=flow.lower,
        upper=flow.upper,
        links=[[pack_numbers(flow.links[upper, lower]) for lower in below] for upper in above],
        aligned=[_grouping(explanation, flow.lower, groups, (count, True)) for count, groups in flow.aligned.items()],
        aligned_links=[pack_numbers(links) for links in flow.aligned_links.values()],
    )


def _effects(explanation: Explanation, each: Experiments) -> Effects:
    won, places = np.unique(each.winners, return_inverse=True)
    return Effects(
        layer=each.layer,
        unit=each.unit,  # type: ignore[arg-type]  # one of the four that Effects knows
        groups=each.groups,
        factor=each.factor,
        logits=pack_numbers(each.change),
        predicted=pack_numbers(each.predicted),
        probabilities=pack_numbers(each.probabilities),
        winners=places.tolist(),
        names=[explanation.model.label(int(index)) for index in won],
    )


def _rounded(array: np.ndarray, digits: int) -> list:
    return np.round(array.astype(float), digits).tolist()


def sheet_of(icons: Icons, file: str) -> IconSheet:
    """What a bundle says of the sheet that `sprite` draws."""
    return IconSheet(file=file, side=icons.images.shape[1], columns=_SHEET_COLUMNS, channels=list(icons.keys))


def sprite(icons: Icons) -> Image.Image:
    """The icons packed row by row, without gaps."""
    count, side = icons.images.shape[:2]
    sheet = Image.new("RGB", (_SHEET_COLUMNS * side, -(-count // _SHEET_COLUMNS) * side), "white")
    for index, image in enumerate(icons.images):
        sheet.paste(_on_ground(image), (index % _SHEET_COLUMNS * side, index // _SHEET_COLUMNS * side))
    return sheet


def icon_picture(image: np.ndarray) -> bytes:
    """One icon [side, side, channels + 1], as the sheets show it, as WebP."""
    return _webp(_on_ground(image))


def _on_ground(image: np.ndarray) -> Image.Image:
    colours, opacity = image[:, :, :-1], image[:, :, -1:]
    return to_picture(colours * opacity + _GROUND * (1 - opacity)).convert("RGB")


def _webp(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, "WEBP", quality=88, method=5)
    return buffer.getvalue()
