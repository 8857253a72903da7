"""What one server allows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on what people can ask of a server.

    Args:
        most_bytes: of one upload.
        most_pixels: of one picture, before it is made smaller.
        decode_seconds: that one picture may take to read.
        upload_seconds: that one upload may take to arrive.
        most_waiting: explanations that wait at the same time.
        most_streams: pages that follow explanations at the same time.
        most_results: kept at the same time; the oldest go first.
        retention_seconds: how long a result is kept.
    """

    most_bytes: int = 20 * 2**20
    most_pixels: int = 50_000_000
    decode_seconds: int = 10
    upload_seconds: int = 60
    most_waiting: int = 100
    most_streams: int = 500
    most_results: int = 500
    retention_seconds: float = 7 * 24 * 3600.0
