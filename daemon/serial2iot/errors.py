"""Every error that is ours, in one small tree.

    Serial2IotError             carries a `hint`: what a person can do about it
    |-- ConfigError             the configuration is not usable; the command exits 78 (EX_CONFIG)
    |   `-- CredentialError     a key or certificate is missing, readable by others, expired or does not fit
    |-- PortError               a serial device cannot be opened or was lost
    |-- SpoolError              the spool's storage failed
    |-- CloudError              AWS IoT Core refused something, or cannot be reached
    |-- DaemonError             the running daemon cannot be asked; the command exits 2
    `-- EmulatorError           the cloud on this machine could not be set up

Bad bytes on the wire are not errors but values: `wire.framing.BadFrame`.
"""

from __future__ import annotations


class Serial2IotError(Exception):
    """What went wrong (`str(error)`), and what mends it (`hint`, possibly empty)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(Serial2IotError):
    """The configuration cannot be used: `key` is its dotted name, `where` file and line, or the variable.

    What reads a whole configuration raises one for all it found: each is in `problems`, and told in the message.
    """

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        where: str = "",
        hint: str = "",
        problems: tuple[ConfigError, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.key = key
        self.where = where
        self.problems = problems


class CredentialError(ConfigError):
    """A private key or certificate cannot be used. Its message names the file, never what is in it."""


class PortError(Serial2IotError):
    """A serial device cannot be opened, or was lost."""


class SpoolError(Serial2IotError):
    """The storage behind the spool failed."""


class CloudError(Serial2IotError):
    """AWS IoT Core cannot be reached, or refused what was asked."""


class DaemonError(Serial2IotError):
    """The running daemon cannot be asked: it does not run, or does not answer."""


class EmulatorError(Serial2IotError):
    """The cloud on this machine could not be set up."""
