"""An application that has handlers of signals of its own."""

import os
import signal

from journal import tell
from process_id import app  # noqa: F401


def on_signal(number, frame):
    tell(os.environ["CALLGATE_TEST_KEY"], number)


for number in (signal.SIGHUP, signal.SIGUSR2):
    signal.signal(number, on_signal)
