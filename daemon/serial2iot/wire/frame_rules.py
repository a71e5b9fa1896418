"""The rules of `wire.rules` for frames: sizes, places, and what a checksum needs."""

from __future__ import annotations

from serial2iot.errors import ConfigError
from serial2iot.wire.checksum import WIDTHS
from serial2iot.wire.options import (
    LARGEST_FRAME_BYTES,
    SMALLEST_GAP_MS,
    ChecksumOptions,
    LengthOptions,
    WireOptions,
)


def check_framing(options: WireOptions) -> None:
    """Raise ConfigError for a frame that cannot be."""
    in_range("max_frame_bytes", options.max_frame_bytes, 1, LARGEST_FRAME_BYTES)
    in_range("tail_bytes", options.tail_bytes, 0, 255)
    if options.gap_ms is not None and not options.gap_ms >= SMALLEST_GAP_MS:
        raise ConfigError(
            f"gap_ms = {options.gap_ms:g} is below {SMALLEST_GAP_MS:g}",
            key="gap_ms",
            hint="USB adapters blur shorter silences. Use a framing that marks its frames, or a longer gap.",
        )
    if options.frame_bytes is not None:
        smallest = max(1, len(options.start) + len(options.end))
        in_range("frame_bytes", options.frame_bytes, smallest, options.max_frame_bytes)
    if options.framing == "markers":
        smallest = len(options.start) + len(options.end) + options.tail_bytes
        in_range("max_frame_bytes", options.max_frame_bytes, smallest, LARGEST_FRAME_BYTES)
        if options.start == options.end:
            raise ConfigError(
                "start and end are the same",
                key="end",
                hint='After a lost byte nobody could tell them apart. Use framing = "delimited".',
            )


def check_length(options: WireOptions, length: LengthOptions) -> None:
    """Raise ConfigError for a length prefix that cannot be."""
    in_range("length.extra_bytes", length.extra_bytes, 0, 255)
    begin = len(options.start)
    if length.at is not None:
        in_range("length.at", length.at, begin, LARGEST_FRAME_BYTES)
        begin = length.at
    in_range("max_frame_bytes", options.max_frame_bytes, begin + length.width_bytes, LARGEST_FRAME_BYTES)


def check_checksum(options: WireOptions, checksum: ChecksumOptions) -> None:
    """Raise ConfigError for a checksum that no frame has room for."""
    in_range("checksum.skip_bytes", checksum.skip_bytes, 0, options.max_frame_bytes)
    in_range("checksum.tail_bytes", checksum.tail_bytes, 0, 255)
    if checksum.after is None and checksum.covers_marker:
        raise ConfigError(
            "checksum.covers_marker needs checksum.after",
            key="checksum.covers_marker",
            hint="It says whether the marker before ASCII hex digits is covered. Leave it out.",
        )
    if checksum.after is not None and (checksum.tail_bytes or not checksum.after):
        key = "checksum.tail_bytes" if checksum.after else "checksum.after"
        raise ConfigError(
            f"{key} does not go with ASCII hex digits behind a marker",
            key=key,
            hint='Digits are looked for behind the last `after`, as in after = "*"; white space may follow.',
        )
    frame_bytes = options.frame_bytes
    taken = checksum.skip_bytes + WIDTHS[checksum.kind] + checksum.tail_bytes
    if frame_bytes is not None and taken > frame_bytes:
        raise ConfigError(
            f"the checksum with its skip_bytes and tail_bytes takes {taken} of a frame's {frame_bytes} bytes",
            key="checksum",
            hint="frame_bytes counts the whole frame, the checksum included.",
        )


def in_range(key: str, value: int, low: int, high: int) -> None:
    """Raise ConfigError for a number out of its range, both ends included."""
    if not low <= value <= high:
        raise ConfigError(f"{key} = {value} is not from {low} to {high}", key=key, hint=f"{low} to {high}.")
