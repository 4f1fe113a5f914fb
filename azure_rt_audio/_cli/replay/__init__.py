"""``azure-rt-audio replay``."""

from .command import add_arguments as add_arguments
from .command import run as run
