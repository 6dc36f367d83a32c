# SPDX-License-Identifier: Apache-2.0
"""`tickwire exchange` and `tickwire run` in one process, which is as far as the double of the RDMA libraries reaches.

    python rdma_pair.py EXCHANGE.toml ENGINE.toml

Each line of standard input is a call of the double, such as `verbs_double_link 0`, and is said again when it is done.
SIGTERM ends both, the engine first.
"""

from __future__ import annotations

import ctypes
import sys
import threading

from tickwire import config, engine, log
from tickwire.exchange.server import Exchange


def obey() -> None:
    double = ctypes.CDLL("libibverbs.so.1")
    for line in sys.stdin:
        name, *numbers = line.split()
        getattr(double, name)(*map(int, numbers))
        print(line, end="", flush=True)


def main(exchange_path: str, engine_path: str) -> None:
    log.setup()
    exchange = Exchange(config.load(exchange_path, config.EXCHANGE))
    serving = threading.Thread(target=exchange.run)
    serving.start()
    try:
        threading.Thread(target=obey, daemon=True).start()
        engine.run(config.load(engine_path, config.ENGINE))
    finally:
        exchange.stop()
        serving.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
