"""The configuration: read, checked as a whole, and handed to each room as its own options.

Rules:

1. A value comes from the environment, else from the file, else from the default that the options class states.
2. Every problem is found in one go. Each names where it stands (file and line, or the variable), the key, what is
   wrong and what is allowed.
3. What cannot work is a ConfigError; what works but may not be meant is a warning; what only the clock makes
   wrong is a warning too, because a Raspberry Pi starts without the time.
4. Nothing of pydantic leaves this folder: the rooms get frozen dataclasses.
"""

from serial2iot.settings.changes import Changes, changes
from serial2iot.settings.describe import describe
from serial2iot.settings.loading import load
from serial2iot.settings.result import PortSettings, Settings

__all__ = ["Changes", "PortSettings", "Settings", "changes", "describe", "load"]
