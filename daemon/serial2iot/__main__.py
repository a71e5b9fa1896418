"""`python -m serial2iot`."""

import sys

from serial2iot.cli import main

sys.exit(main())
