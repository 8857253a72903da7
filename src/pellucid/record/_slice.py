"""The part of a network that some layers depend on, rewritten to run fast with frozen weights.

Rendering runs the same few layers hundreds of times and needs gradients for the image alone. So the module is traced
once (torch.fx), cut at the deepest layer wanted, its batch norms folded into the convolutions before them, its first
convolution rearranged (see `SpaceToDepthConv2d`), and its weights copied, frozen, in the precision and memory format
that run fastest. `narrowed` then drops the branches and filters of the last block that a target does not read.
What cannot be traced runs through hooks instead (`run`), slower and with the same results.
"""

import copy
import inspect
import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..errors import PellucidError
from ..models import Layer, Model, borrowed
from ..models._same import LocalResponseNorm, SameConv2d, SameMaxPool2d, same_padding
from ._run import run

Needs = Mapping[str, Sequence[int] | None]
"""For each layer, the channels that are read, or `None` for all of them."""

_OWN_LEAVES = (SameConv2d, SameMaxPool2d, LocalResponseNorm)
_RELU_FUNCTIONS = (torch.relu, torch.relu_, F.relu, F.relu_)


class Untraceable(PellucidError):  # noqa: N818  # not an error for the caller: it takes the slower road
    """The module's code branches on its data, or does something else that tracing cannot follow."""


class SpaceToDepthConv2d(nn.Module):
    """A stride-2 convolution of a few channels, as a stride-1 convolution of 2×2 blocks of pixels.

    Exactly the same sums; the backward pass to the image, the dearest single operation of a rendering step, takes
    half the time, because it works on 4 times as many channels in a quarter of the positions.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        height, width = conv.kernel_size
        # An even kernel covers whole blocks; the added row and column of zeros come last.
        even = F.pad(conv.weight.detach(), (0, width % 2, 0, height % 2))
        self.weight = nn.Parameter(F.pixel_unshuffle(even, 2), requires_grad=False)
        self.bias = conv.bias
        self.kernel_size = conv.kernel_size
        self.padding = None if isinstance(conv, SameConv2d) else conv.padding

    def forward(self, input: Tensor) -> Tensor:
        edges: list[int] = []
        for axis in (1, 0):
            length, kernel = input.shape[2 + axis], self.kernel_size[axis]
            if self.padding is None:
                before, after = same_padding(length, kernel, 2)
            else:
                before = after = int(self.padding[axis])
            outputs = (length + before + after - kernel) // 2 + 1
            # Negative padding crops what a stride of 2 would leave over.
            edges += [before, 2 * (outputs - 1) + kernel + kernel % 2 - length - before]
        blocks = F.pixel_unshuffle(F.pad(input, edges), 2)
        return F.conv2d(blocks.contiguous(memory_format=torch.channels_last), self.weight, self.bias)


# While torch.fx traces, all modules of the process are called through it: one at a time.
_TRACING = threading.Lock()


class _Tracer(fx.Tracer):
    """Keeps the node that each submodule's path ended at; modules that run in other threads meanwhile run as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, Any] = {}
        self._thread = threading.get_ident()

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _OWN_LEAVES) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        output = super().call_module(m, forward, args, kwargs)
        self.ends[self.path_of_module(m)] = output
        return output


@dataclass(frozen=True, eq=False)
class Slice:
    """A rewritten part of a network.

    Args:
        model: whose part it is.
        layers: what it computes, in the order of its outputs.
        graph: takes preprocessed images, returns what each layer's module returns.
        dtype: what it computes in.
        kept: for a narrowed layer, which of its channels the output still has, in their order there.
    """

    model: Model
    layers: tuple[Layer, ...]
    graph: fx.GraphModule
    dtype: torch.dtype
    kept: Mapping[str, tuple[int, ...]]

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """The layers' grids [n, channels, rows, columns] for sRGB images in [0, 1]."""
        size = (images.shape[2], images.shape[3])
        mean, std = self._constants(images)
        input = torch.sub(images, mean).mul_(std) if images.requires_grad is False else (images - mean) * std
        outputs = self.graph(input.to(self.dtype))
        return {layer.name: layer.to_grid(out, size) for layer, out in zip(self.layers, outputs, strict=True)}

    def _constants(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mean = torch.tensor(self.model.mean, device=images.device, dtype=images.dtype)[:, None, None]
        return mean, 1 / torch.tensor(self.model.std, device=images.device, dtype=images.dtype)[:, None, None]

    def narrowed(self, needs: Needs) -> "Slice":
        """The same without the branches and filters at its end that nobody reads."""
        graph = fx.Graph()
        modules: dict[str, nn.Module] = dict(self.graph.named_modules())
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(self.graph.graph, copies)
        output = next(node for node in self.graph.graph.nodes if node.op == "output")
        added: dict[str, nn.Module] = {}
        ends, kept = [], dict(self.kept)
        narrower = _Narrower(graph, modules, added)
        for layer, node in zip(self.layers, output.args[0], strict=True):
            channels = needs.get(layer.name)
            end = copies[node]
            if channels is not None and not layer.channels_last and layer.kind != "tokens":
                end, order = narrower.narrow(end, tuple(sorted(set(channels))), is_end=True)
                if order is not None:
                    kept[layer.name] = order
            ends.append(end)
        graph.output(tuple(ends))
        _drop_unused(graph)
        module = fx.GraphModule(_attributes(self.graph, graph, added), graph)
        return replace(self, graph=module, kept=kept)


class _Narrower:
    """Rewrites the end of a graph so that it computes some channels only."""

    def __init__(self, graph: fx.Graph, modules: dict[str, nn.Module], added: dict[str, nn.Module]) -> None:
        self.graph, self.modules, self.added = graph, modules, added

    def narrow(
        self, node: fx.Node, channels: tuple[int, ...], *, is_end: bool = False
    ) -> tuple[fx.Node, tuple[int, ...] | None]:
        """A node that has `channels` among its channels, and which channels it has (`None`: all, nothing changed)."""
        if len(node.users) > (0 if is_end else 1):
            return node, None
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        with self.graph.inserting_after(node):
            if node.op == "call_function" and node.target in (torch.cat, torch.concat):
                return self._narrow_join(node, channels)
            is_relu = isinstance(module, nn.ReLU) or (node.op == "call_function" and node.target in _RELU_FUNCTIONS)
            if is_relu or isinstance(module, nn.Identity | nn.Dropout):
                source, order = self.narrow(node.args[0], channels)  # type: ignore[arg-type]
                if order is None:
                    return node, None
                if not is_relu:
                    return source, order
                return self.graph.call_function(torch.relu, (source,)), order
            if isinstance(module, nn.Conv2d | nn.Linear) and getattr(module, "groups", 1) == 1:
                part = copy.copy(module)
                part._parameters = dict(module._parameters)
                part.weight = nn.Parameter(_select(module.weight, channels), requires_grad=False)
                if module.bias is not None:
                    part.bias = nn.Parameter(module.bias[list(channels)], requires_grad=False)
                name = f"narrowed_{len(self.added)}"
                self.added[name] = part
                return self.graph.call_module(name, node.args), channels
        return node, None

    def _narrow_join(self, node: fx.Node, channels: tuple[int, ...]) -> tuple[fx.Node, tuple[int, ...] | None]:
        parts: Any = node.args[0]
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        if axis != 1 or not isinstance(parts, list | tuple) or not all("channels" in part.meta for part in parts):
            return node, None
        ends, order, offset = [], [], 0
        for part in parts:
            width = part.meta["channels"]
            inside = tuple(channel - offset for channel in channels if offset <= channel < offset + width)
            if inside:
                end, kept = self.narrow(part, inside)
                ends.append(end)
                order += [offset + channel for channel in (range(width) if kept is None else kept)]
            offset += width
        if len(ends) == 1:
            return ends[0], tuple(order)
        return self.graph.call_function(torch.cat, (ends, 1)), tuple(order)


def _select(weight: Tensor, channels: tuple[int, ...]) -> Tensor:
    selected = weight.detach()[list(channels)]
    return selected.contiguous(memory_format=torch.channels_last) if selected.ndim == 4 else selected


def _attributes(root: nn.Module, graph: fx.Graph, added: Mapping[str, nn.Module]) -> dict[str, Any]:
    """What a graph refers to, by path: `GraphModule` takes this in place of a root module."""
    attributes: dict[str, Any] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            attributes[node.target] = added.get(node.target) or root.get_submodule(node.target)
        elif node.op == "get_attr":
            attributes[node.target] = operator.attrgetter(node.target)(root)
    return attributes


def slice_network(
    model: Model, layers: Sequence[str], *, size: tuple[int, int], dtype: torch.dtype = torch.float32
) -> Slice:
    """The part of a model that `layers` depend on, rewritten; checked against the model itself on one image.

    Args:
        model: it is left as it is; the slice has weights of its own.
        layers: names of layers to compute.
        size: height and width, px, of the images that will be given.
        dtype: precision of the copy.

    Raises:
        Untraceable: tracing failed, or the rewritten part gave other numbers than the model.

    Example:
        >>> slice_network(model, ["8"], size=(32, 32))(image[None])["8"].shape
        torch.Size([1, 10, 10, 10])
    """
    wanted = tuple(dict.fromkeys(model.layer(name) for name in layers))
    with borrowed(model.module), torch.no_grad():
        try:
            graph, root = _trace(model, wanted)
        except Untraceable:
            raise
        except Exception as error:  # tracing runs the user's code on symbols and copies it: anything may be raised
            raise Untraceable(f"{model.name} cannot be traced: {error}") from error
        # A colourful smooth gradient: every part of the network sees values like those of a picture.
        ramp = torch.linspace(0, 1, size[0])[:, None] * torch.linspace(0.2, 1, size[1])
        phases = torch.arange(model.input_channels)[:, None, None]
        probe = (0.5 + 0.5 * torch.sin(9 * ramp + 2 * phases))[None].to(model.device)
        names = [layer.name for layer in wanted]
        try:
            input = model.preprocess(probe)
            module = fx.GraphModule(_attributes(root, graph, {}), graph)
            _measure_channels(module, input)
            outputs = [layer.to_grid(out, size) for layer, out in zip(wanted, module(input), strict=True)]
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise Untraceable(f"{model.name} cannot be run in part: {error}") from error
        expected = run(model, probe, names)
        for name, output in zip(names, outputs, strict=True):
            scale = expected[name].abs().max().clamp(min=1e-6)
            if output.shape != expected[name].shape or (output - expected[name]).abs().max() > 1e-4 * scale:
                raise Untraceable(f"{model.name} computes {name} otherwise when traced.")
        module.to(dtype)
        for part in module.modules():
            if isinstance(part, nn.Conv2d | SpaceToDepthConv2d):
                part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
            for buffer_name, buffer in part.named_buffers(recurse=False):
                if buffer.ndim == 4:
                    setattr(part, buffer_name, buffer.contiguous(memory_format=torch.channels_last))
    return Slice(model, wanted, module, dtype, {})


def _trace(model: Model, layers: Sequence[Layer]) -> tuple[fx.Graph, nn.Module]:
    """The graph that ends at `layers`, and a root with frozen copies of the modules that it calls."""
    tracer = _Tracer()
    # Arguments beside the image keep their defaults; a transformer's attention mask is one.
    rest = list(inspect.signature(model.module.forward).parameters.values())[1:]
    defaults = {p.name: p.default for p in rest if p.default is not p.empty}
    with _TRACING:
        graph = tracer.trace(model.module, concrete_args=defaults)
    output = next(node for node in graph.nodes if node.op == "output")
    ends = [tracer.ends[layer.path].node if layer.path else model.logits_of(output.args[0]) for layer in layers]
    if not all(isinstance(end, fx.Node) for end in ends):
        raise Untraceable(f"{model.name} does not give a tensor at {layers[0].name} when traced.")
    graph.erase_node(output)
    graph.output(tuple(ends))
    _drop_unused(graph)
    for node in [node for node in graph.nodes if node.op == "placeholder"][1:]:
        if node.users:
            raise Untraceable(f"{model.name} takes more than an image.")
        graph.erase_node(node)
    root = nn.Module()
    for node in graph.nodes:
        if node.op == "call_module":
            _attach(root, node.target, copy.deepcopy(_bare(model.module.get_submodule(node.target))))
        elif node.op == "get_attr":
            value = operator.attrgetter(node.target)(model.module)
            if isinstance(value, Tensor):
                value = nn.Parameter(value.detach().clone(), False)
            _attach(root, node.target, value)
    root.eval().requires_grad_(False)
    _fold_batch_norms(graph, root)
    _rearrange_first_convolution(graph, root)
    _relu_in_place(graph, root)
    graph.lint()
    return graph, root


def _bare(module: nn.Module) -> nn.Module:
    """The same module, parameters shared, without hooks: those are the owner's, and may hold what cannot be copied."""
    bare = copy.copy(module)
    hooks = {name: type(value)() for name, value in vars(module).items() if name.endswith("_hooks")}
    bare.__dict__ = {**vars(module), **hooks}
    bare._modules = {name: _bare(child) if child is not None else None for name, child in module._modules.items()}
    return bare


def _drop_unused(graph: fx.Graph) -> None:
    """Drop what no output depends on; where that is wrong (code that works in place), the check of the slice fails."""
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)


def _attach(root: nn.Module, path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        if parent not in root._modules:
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    if isinstance(value, nn.Module):
        root.add_module(name, value)
    elif isinstance(value, nn.Parameter):
        root.register_parameter(name, value)
    else:
        setattr(root, name, value)


def _module(root: nn.Module, node: Any) -> nn.Module | None:
    if isinstance(node, fx.Node) and node.op == "call_module":
        return root.get_submodule(str(node.target))
    return None


def _fold_batch_norms(graph: fx.Graph, root: nn.Module) -> None:
    for node in list(graph.nodes):
        norm = _module(root, node)
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
            continue
        source = node.args[0]
        conv = _module(root, source)
        calls = sum(other.op == "call_module" and other.target == source.target for other in graph.nodes)
        if isinstance(conv, nn.Conv2d) and len(source.users) == 1 and calls == 1:
            _attach(root, source.target, fuse_conv_bn_eval(conv, norm))
            node.replace_all_uses_with(source)
            graph.erase_node(node)


def _rearrange_first_convolution(graph: fx.Graph, root: nn.Module) -> None:
    image = next(node for node in graph.nodes if node.op == "placeholder")
    for node in image.users:
        conv = _module(root, node)
        if (
            isinstance(conv, nn.Conv2d)
            and conv.stride == (2, 2)
            and conv.dilation == (1, 1)
            and conv.groups == 1
            and conv.in_channels <= 4
            and conv.padding_mode == "zeros"
            and not isinstance(conv.padding, str)
        ):
            _attach(root, node.target, SpaceToDepthConv2d(conv))


def _relu_in_place(graph: fx.Graph, root: nn.Module) -> None:
    """Let a ReLU overwrite the convolution's output where nobody else reads it: neither keeps it for its gradient.

    Elsewhere it may not, even if it did: what it would overwrite may be a layer that was asked for.
    """
    for node in list(graph.nodes):
        is_relu = isinstance(_module(root, node), nn.ReLU) or (
            node.op == "call_function" and node.target in _RELU_FUNCTIONS
        )
        if is_relu:
            source = _module(root, node.args[0])
            alone = len(node.args[0].users) == 1 and isinstance(source, nn.Conv2d | SpaceToDepthConv2d | nn.Linear)
            with graph.inserting_after(node):
                new = graph.call_function(torch.relu_ if alone else torch.relu, (node.args[0],))
            node.replace_all_uses_with(new)
            graph.erase_node(node)


def _measure_channels(module: fx.GraphModule, input: Tensor) -> None:
    """Write the number of channels of each node's output into its `meta`."""

    class Measure(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, Tensor) and result.ndim >= 2:
                n.meta["channels"] = result.shape[1]
            return result

    Measure(module).run(input)
