"""DynamoDB Local with its tables in a folder.

data folder ─► java command
"""

from pathlib import Path

from local.java import LOGGING, java_command

HEAP_MB = 256
SETTINGS = Path(__file__).with_name("dynamodb.xml")


def start_command(data: Path, *, port: int, host: str = "127.0.0.1") -> tuple[str, ...]:
    """Runs the server until SIGTERM; one database for every region and key.

    Jetty's own main class puts the parts together, because DynamoDB Local's listens on every
    interface.
    """
    data.mkdir(parents=True, exist_ok=True)
    properties = {"host": host, "port": port, "data": data}
    return java_command(
        "dynamodb",
        *(f"{name}={value}" for name, value in properties.items()),
        str(SETTINGS),
        main_class="org.eclipse.jetty.xml.XmlConfiguration",
        heap_mb=HEAP_MB,
        options=(
            f"-Dlog4j2.configurationFile={LOGGING / 'log4j2.json'}",
            f"-Djava.io.tmpdir={data}",
            "-Dorg.eclipse.jetty.util.log.announce=false",
            "-Dorg.eclipse.jetty.LEVEL=WARN",
            "-Dtapedeck.log.level=error",  # a failed condition is a warning with a stack trace
        ),
    )
