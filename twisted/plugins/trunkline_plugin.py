"""Makes `twistd trunkline` known."""

import signal
import sys

from twisted.application.service import ServiceMaker

if "trunkline" in sys.argv:  # and not some other service of twistd's
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # while modules are loaded; see edge.entry

trunkline = ServiceMaker("Trunkline", "edge.tap", "The SMS edge of a telephone company", "trunkline")
