"""pyVoIP 1.6 as a phone that only registers (GPL-3: a process of its own, never imported by anything of
ours).

python pyvoip_phone.py PORT USER PASSWORD SECONDS OWN_PORT

Prints the registration's state, then ends.
"""

import sys
import time

from pyVoIP.VoIP import PhoneStatus, VoIPPhone


def main() -> None:
    """Register and say how it went."""
    port, user, password, seconds, own_port = sys.argv[1:]
    phone = VoIPPhone("127.0.0.1", int(port), user, password, myIP="127.0.0.1", sipPort=int(own_port))
    phone.start()
    deadline = time.monotonic() + float(seconds)
    while phone.get_status() is PhoneStatus.REGISTERING and time.monotonic() < deadline:
        time.sleep(0.05)
    sys.stdout.write(f"{phone.get_status().name}\n")
    sys.stdout.flush()
    phone.stop()


if __name__ == "__main__":
    main()
