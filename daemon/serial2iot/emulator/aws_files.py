"""Where the files of `config/aws/` are: in a checkout there, in an installed package beside the code.

One source, two places: the wheel carries a copy that the build makes.
"""

from __future__ import annotations

from pathlib import Path

from serial2iot.errors import EmulatorError

_PACKAGE = Path(__file__).parents[1]
_PLACES = (_PACKAGE / "aws", _PACKAGE.parents[1] / "config" / "aws")


def aws_file(name: str) -> Path:
    """Return the path of one of the files, such as `rule-presence.json`. Raises EmulatorError without it."""
    for place in _PLACES:
        if (file := place / name).is_file():
            return file
    raise EmulatorError(
        f"{name} is not among the files of this installation",
        hint=f"looked in {' and '.join(map(str, _PLACES))}: install the package again",
    )
