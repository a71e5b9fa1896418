"""Fixtures that several rooms' tests share."""

from tests.configuration import configuration, device_credentials

__all__ = ["configuration", "device_credentials"]
