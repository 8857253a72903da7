"""What one server allows."""

from dataclasses import dataclass

from ..errors import InputError

_LONGEST_RETENTION = 10 * 365 * 24 * 3600.0


@dataclass(frozen=True)
class Limits:
    """Bounds on what people can ask of a server.

    Args:
        most_bytes: of one upload.
        most_bytes_at_once: of all uploads that are on their way or wait to be decoded.
        most_pixels: of one picture, before it is made smaller.
        decode_seconds: that one picture may take to read.
        upload_seconds: that one upload may take to arrive.
        most_layers: of one explanation.
        most_waiting: explanations that wait at the same time.
        most_streams: pages that follow explanations at the same time.
        most_results: kept at the same time; the oldest go first.
        retention_seconds: how long a result is kept, at most ten years.

    Raises:
        InputError: the retention is not a time of that length.

    Example:
        >>> Limits(retention_seconds=3600).most_pixels
        50000000
    """

    most_bytes: int = 20 * 2**20
    most_bytes_at_once: int = 200 * 2**20
    most_pixels: int = 50_000_000
    decode_seconds: int = 10
    upload_seconds: int = 60
    most_layers: int = 6
    most_waiting: int = 100
    most_streams: int = 400
    most_results: int = 500
    retention_seconds: float = 7 * 24 * 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.retention_seconds <= _LONGEST_RETENTION:
            raise InputError(
                f"a retention of {self.retention_seconds} s; expected more than 0 s and at most ten years."
            )
