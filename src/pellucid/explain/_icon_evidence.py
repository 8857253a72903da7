"""Whether the icons of channels, which stand for them all over the page, are pictures of these channels."""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from ..models._embedded import NAME as EMBEDDED
from ..record import record
from ..trust import Evidence
from ..trust._rendered import pictures_of, scramble
from ..trust._routes import at_own_size
from ._case import Case

# So many icons of a layer are tried, evenly spaced among its channels.
_MOST = 40
# So many deviations above its mean over photos speak for a picture, as `evidence_at_hand` has it.
_CLEARLY = 2


def icon_evidence(case: Case) -> Iterator[Evidence]:
    """How many icons of a layer fire their own channel more than every other icon does.

    Of the network in the package, whose channels were seen on photos, also how many fire it as strong photos do.
    """
    icons = case.explanation.icons[case.name]
    if len(icons.keys) < 3:
        return
    tried = np.unique(np.linspace(0, len(icons.keys) - 1, _MOST).astype(int))
    pictures = at_own_size(case.model, pictures_of(icons.images[tried], case.model), case.name)
    channels = [icons.keys[number] for number in tried]
    firing = _peaks(case, pictures)
    idle = _peaks(case, scramble(pictures, case.seed))
    own = _own(firing[:, channels], firing[:, channels])
    control = _own(firing[:, channels], idle[:, channels])
    yield Evidence(
        about=case.about("dictionary"),
        name="icons that fire their channel most",
        value=round(float(own.mean()), 4),
        control=round(float(control.mean()), 4),
        sentence=(
            f"Of {len(channels)} icons of {case.name} on this page, {own.sum()} fire their own channel more than "
            f"any other of them does; with their parts scattered (same colours, same spectrum), {control.sum()}."
        ),
    )
    known = _statistics(case)
    if known is None:
        return
    mean, deviation = known
    high, low = (
        (np.diag(peaks[:, channels]) - mean[channels]) / deviation[channels] > _CLEARLY for peaks in (firing, idle)
    )
    yield Evidence(
        about=case.about("dictionary"),
        name="icons that fire their channel as photos do",
        value=round(float(high.mean()), 4),
        control=round(float(low.mean()), 4),
        sentence=(
            f"Of {len(channels)} icons of {case.name} on this page, {high.sum()} fire their channel as only its "
            f"strongest photos do, more than {_CLEARLY} standard deviations above its mean over 2,000 of them; "
            f"scattered, {low.sum()}."
        ),
    )


def _peaks(case: Case, pictures: Tensor) -> np.ndarray:
    """[pictures, channels]: the largest activation of each channel."""
    return record(case.model, pictures, case.name)[case.name].values.max((1, 2))


def _own(others: np.ndarray, firing: np.ndarray) -> np.ndarray:
    """bool [icons]: whether each picture fires its channel more than the icons of other channels do.

    Args:
        others, firing: [pictures, channels], a channel for each picture.
    """
    rivals = others.copy()
    np.fill_diagonal(rivals, -np.inf)
    return np.diag(firing) > rivals.max(0)


def _statistics(case: Case) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and deviation of each channel's largest activation on photos, where they are known."""
    from ..models import load, load_channel_statistics

    if case.model.name != EMBEDDED or case.model.digest != load().digest:
        return None
    known = load_channel_statistics().get(case.name)
    return None if known is None else (known.peak_mean, np.maximum(known.peak_deviation, 1e-6))
