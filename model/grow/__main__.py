"""``python -m dgemma_model.grow``."""

import sys

from dgemma_model.grow.command import main

sys.exit(main())
