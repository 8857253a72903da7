"""The rest of a network from one layer on: what removals and path integrals run again and again.

The module is traced (torch.fx) and cut at the layer, whose output becomes an input. What the rest needs beside it (the
other arm of a residual block, sibling branches of a join) is computed once from the image and shared by all grids of
a batch. What cannot be traced runs through hooks instead (`run` with an edit), slower and with the same results.
"""

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor, fx

from ..errors import InputError, TargetError
from ..models import Layer, Model, borrowed
from ..targets import LOGITS
from ._run import run
from ._slice import Untraceable, _attributes, _drop_unused, _trace

_TOLERANCE = 1e-4


class Tail:
    """The rest of a model from one layer on, for one image.

    Calling it with grids of the layer gives what later layers become, with gradients back to the grids.

    Args:
        model: it comes back as it was; the tail keeps weights of its own where the model can be traced.
        image: [channels, height, width], sRGB in [0, 1].
        layer: where the tail starts. Of a token layer only the patches are given; the class token stays as it is.
        to: later layers to compute, `logits` among them by default; the run ends at the deepest.

    Attributes:
        grid: what the layer gives on the image, [1, channels, rows, columns].
        outputs: what the layers of `to` give on the image, as the model itself computes them.
        remark: why the tail runs through hooks, or `None` where it has been traced.

    Raises:
        InputError: the image does not fit.
        TargetError: no such layer, or one of `to` that does not depend on `layer`.

    Example:
        >>> tail = Tail(model, image, layer="3")
        >>> tail(torch.zeros(5, *tail.grid.shape[1:]))["logits"].shape
        torch.Size([5, 10, 1, 1])
    """

    grid: Tensor
    outputs: dict[str, Tensor]
    remark: str | None

    def __init__(self, model: Model, image: Tensor, *, layer: str, to: Sequence[str] = (LOGITS,)) -> None:
        self.model, self.layer = model, model.layer(layer)
        self.layers: tuple[Layer, ...] = tuple(dict.fromkeys(model.layer(name) for name in to))
        self._image = model.check_images(image[None])
        self._size = (self._image.shape[2], self._image.shape[3])
        names = [each.name for each in self.layers]
        with borrowed(model.module), torch.no_grad():
            grids = run(model, self._image, [self.layer.name, *names])
            self.grid = grids[self.layer.name]
            self.outputs = {name: grids[name] for name in names}
            self.remark = None
            try:
                self._cut()
                self._check_against_model()
            except Untraceable as error:
                self.remark = str(error)
        with torch.enable_grad():
            for name, grid in self(self.grid.detach().requires_grad_()).items():
                if not grid.requires_grad:
                    raise self._independent(name)

    def __repr__(self) -> str:
        way = "traced" if self.remark is None else "through hooks"
        return f"<Tail of {self.model.name} from {self.layer.name} to {', '.join(self.outputs)}, {way}>"

    @property
    def fits_any_image(self) -> bool:
        """Whether grids of other images give what the model answers about those: nothing beside the layer is needed."""
        return self.remark is None and not any(on_image for _, on_image in self._shared)

    def on(self, image: Tensor) -> "Tail":
        """The tail of the same layer on another image; where nothing beside the layer is needed, not traced again.

        Args:
            image: [channels, height, width], sRGB in [0, 1].

        Raises:
            InputError: the image does not fit.

        Example:
            >>> tail = Tail(model, image, layer="3")
            >>> tail.on(image.flip(2)).grid.shape == tail.grid.shape
            True
        """
        names = [each.name for each in self.layers]
        given = self.model.check_images(image[None])
        if not self.fits_any_image or self.layer.kind == "tokens" or given.shape != self._image.shape:
            return Tail(self.model, image, layer=self.layer.name, to=names)
        other = copy(self)
        with borrowed(self.model.module), torch.no_grad():
            grids = run(self.model, given, [self.layer.name, *names])
        other._image, other.grid = given, grids[self.layer.name]
        other.outputs = {name: grids[name] for name in names}
        return other

    def __call__(self, grids: Tensor) -> dict[str, Tensor]:
        """The layers of `to`, each [n, channels, rows, columns], for `grids` [n, channels, rows, columns]."""
        if grids.ndim != 4 or grids.shape[1:] != self.grid.shape[1:]:
            raise InputError(f"grids have shape {list(grids.shape)}, expected [n, {_shape(self.grid)}].")
        grids = grids.to(self.grid)
        return self._run_graph(grids) if self.remark is None else self._run_hooks(grids)

    def _cut(self) -> None:
        """Trace the model and keep the part after the layer, with what that part needs from before it."""
        try:
            graph, root = _trace(self.model, (self.layer, *self.layers))
            output = next(node for node in graph.nodes if node.op == "output")
            start, *ends = output.args[0]
            after, on_image = _followers(graph, start), _followers(graph, next(iter(graph.nodes)))
            for layer, end in zip(self.layers, ends, strict=True):
                if end not in after:
                    raise self._independent(layer.name)
            beside, rest = _rest_of(graph, start, ends, after)
            head = fx.Graph()
            copies: dict[fx.Node, fx.Node] = {}
            head.graph_copy(graph, copies)
            head.output(tuple(copies[node] for node in (start, *beside)))
            _drop_unused(head)
            whole, *shared = fx.GraphModule(_attributes(root, head, {}), head)(self.model.preprocess(self._image))
        except (Untraceable, TargetError):
            raise
        except Exception as error:  # tracing runs the user's code on symbols and copies it: anything may be raised
            raise Untraceable(f"{self.model.name} cannot be traced: {error}") from error
        self._whole = whole
        self._shared = [
            (value, isinstance(value, Tensor) and node in on_image) for node, value in zip(beside, shared, strict=True)
        ]
        self._graph = fx.GraphModule(_attributes(root, rest, {}), rest)

    def _check_against_model(self) -> None:
        """The traced tail must give the model's own numbers, also in a batch."""
        pair = torch.cat([self.grid / 2, self.grid])
        try:
            found = {name: output[1:] for name, output in self._run_graph(pair).items()}
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise Untraceable(f"{self.model.name} cannot be run in part: {error}") from error
        for name, expected in self.outputs.items():
            scale = expected.abs().max().clamp(min=1e-6)
            same = found[name].shape == expected.shape
            if not same or not (found[name] - expected).abs().max() <= _TOLERANCE * scale:
                raise Untraceable(f"{self.model.name} computes {name} otherwise when traced.")

    def _independent(self, name: str) -> TargetError:
        return TargetError(
            f"{name} of {self.model.name} does not depend on {self.layer.name}; choose a layer that comes before it."
        )

    def _run_graph(self, grids: Tensor) -> dict[str, Tensor]:
        count = len(grids)
        shared = [
            value.expand(count, *value.shape[1:]) if per_image and value.ndim and len(value) == 1 else value
            for value, per_image in self._shared
        ]
        # A copy, because what follows may work in place; this order of memory is the one that convolutions like.
        own = grids.clone(memory_format=torch.channels_last)
        outputs = self._graph(self.layer.from_grid(own, self._whole), *shared)
        return {layer.name: layer.to_grid(out, self._size) for layer, out in zip(self.layers, outputs, strict=True)}

    def _run_hooks(self, grids: Tensor) -> dict[str, Tensor]:
        names = [layer.name for layer in self.layers]
        edits = {self.layer.name: lambda _: grids.clone()}
        with borrowed(self.model.module):
            try:
                # One image up to the layer, many from there on: what runs beside the layer broadcasts.
                outputs = run(self.model, self._image, names, edits=edits)
            except RuntimeError:
                if len(grids) == 1:
                    raise
                outputs = {}  # something beside the layer is joined rather than added, and wants equally many images
            if any(len(output) != len(grids) for output in outputs.values()) or not outputs:
                # or the code counted the images before the layer
                outputs = run(self.model, self._image.expand(len(grids), -1, -1, -1), names, edits=edits)
        return outputs


def _shape(grid: Tensor) -> str:
    return ", ".join(map(str, grid.shape[1:]))


def _followers(graph: fx.Graph, start: fx.Node) -> set[fx.Node]:
    """The node and every one that depends on it."""
    found = {start}
    for node in graph.nodes:
        if not found.isdisjoint(node.all_input_nodes):
            found.add(node)
    return found


def _rest_of(
    graph: fx.Graph, start: fx.Node, ends: Sequence[fx.Node], after: set[fx.Node]
) -> tuple[list[fx.Node], fx.Graph]:
    """The nodes from before `start` that the rest reads, and the rest: a graph of `start` and of those."""
    steps = [node for node in graph.nodes if node in after and node is not start and node.op != "output"]
    beside = dict.fromkeys(
        source for node in steps for source in node.all_input_nodes if source not in after and source.op != "get_attr"
    )
    rest = fx.Graph()
    copies = {node: rest.placeholder(f"given_{number}") for number, node in enumerate((start, *beside))}
    for node in steps:
        for source in node.all_input_nodes:
            if source not in copies:
                copies[source] = rest.node_copy(source)
        copies[node] = rest.node_copy(node, copies.__getitem__)
    rest.output(tuple(copies[end] for end in ends))
    _drop_unused(rest)
    rest.lint()
    return list(beside), rest
