"""Stage `capture`: exchange sockets to Kafka, for the streams of a file or for one job.

settings, streams ─► producer, telemetry, control ─► Stage.run ─► exit code
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from container_worker import instruments_table, log, streams_file
from container_worker.capture.last_known import LastKnown, Wanted, read_last_known
from container_worker.capture.orders import channels_of
from container_worker.capture.reach import reach_all
from container_worker.capture.stage import Form, Stage, Stream
from container_worker.capture.timing import Timing
from container_worker.control import Control
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel
from container_worker.kafka import Producer, check_topics, create_missing, partition_counts
from container_worker.outermost import outermost
from container_worker.settings import CaptureSettings, JobSettings
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from marketdata import topics
from marketdata.errors import (
    InputError,
    RestrictedLocation,
    SettingsError,
    StoreError,
    TapedeckError,
)
from marketdata.instruments import Instrument
from marketdata.topics import (
    CANDLE_UPDATES,
    CANDLES,
    QUEUE_CONTROL,
    QUEUE_EVENTS,
    REJECTS,
    TOPIC_OF_TYPE,
    TRADES,
    Topic,
)

__all__ = ["run_job", "run_streams"]

_INSTRUMENTS_PAUSE_S = 10.0


def run_streams(
    settings: CaptureSettings,
    streams: Path | None,
    stop: threading.Event,
    timing: Timing | None = None,
) -> int:
    """Captures the streams of a file, or of the settings' YAML, until `stop`; the exit code.

    Raises:
        InputError: streams, topics or tickers are wrong; nothing was started.
        TapedeckError: capture cannot go on.
    """
    wishes = _wishes(settings, streams)
    check_topics(settings.kafka, _topics_of(wishes, settings))
    producer = Producer(settings.kafka, expendable={REJECTS.name})
    form = Form(
        topic_of=lambda type_: TOPIC_OF_TYPE[type_].name,
        rejects_topic=REJECTS.name,
        history_topic=CANDLES.name,
        last_known=_last_known(settings, wishes, lambda type_: TOPIC_OF_TYPE[type_].name),
        fatal=lambda _error: False,
        listed=partial(_write_instruments, settings.instruments_table, stop),
    )
    stage = Stage(
        producer,
        [_stream(producer, settings, wish) for wish in wishes],
        reach_all(settings.exchanges),
        form,
        timing=timing or Timing(),
        stop=stop,
        finish=threading.Event(),
    )
    return stage.run()


def run_job(settings: JobSettings, stop: threading.Event, timing: Timing | None = None) -> int:
    """Captures one ticker in one type to the job's own topic, until `stop` or its command.

    Raises:
        InputError: the ticker or the type does not exist.
        TapedeckError: capture cannot go on.
    """
    adapter = REGISTRY[settings.exchange]
    if settings.type not in adapter.types:
        has = ", ".join(sorted(adapter.types))
        raise SettingsError([f"TYPE: {adapter.name} has no {settings.type}; it has {has}"])
    rejects = _job_topics(settings)
    finish = threading.Event()
    control = Control(
        settings.kafka, settings.queue.control_topic, _on_stop(settings.queue_id, finish)
    )
    try:
        producer = Producer(settings.kafka, expendable={REJECTS.name})
        wish = Wish(settings.queue_id, adapter.name, (settings.symbol,), (settings.type,))
        form = Form(
            topic_of=lambda _type: settings.topic,
            rejects_topic=rejects,
            history_topic=None,
            last_known=_last_known(settings, [wish], lambda _type: settings.topic),
            fatal=lambda error: isinstance(error, RestrictedLocation),
            listed=lambda _instruments: None,
        )
        stage = Stage(
            producer,
            [_stream(producer, settings, wish)],
            reach_all(settings.exchanges),
            form,
            timing=timing or Timing(),
            stop=stop,
            finish=finish,
        )
        control.start(stage.fail)
        return stage.run()
    finally:
        control.close()


def _wishes(settings: CaptureSettings, streams: Path | None) -> tuple[Wish, ...]:
    if streams is not None:
        return streams_file.read(streams)
    if settings.streams:
        return streams_file.parse(settings.streams, "STREAMS")
    raise InputError("no streams to capture: give --streams FILE, STREAMS_FILE or STREAMS")


def _topics_of(wishes: Iterable[Wish], settings: CaptureSettings) -> list[Topic]:
    ours = {TOPIC_OF_TYPE[type_].name for wish in wishes for type_ in wish.types}
    queue = settings.queue
    return [
        *(topics.TOPICS[name] for name in sorted(ours)),
        replace(QUEUE_EVENTS, name=queue.events_topic),
        REJECTS,
    ]


def _job_topics(settings: JobSettings) -> str | None:
    """Sees to the job's topics; the topic of rejects, where the cluster has one."""
    queue = settings.queue
    create_missing(
        settings.kafka,
        [
            Topic(settings.topic, 1, topics.ORDERBOOK.retention_ms, 8 * 1024 * 1024),
            replace(QUEUE_CONTROL, name=queue.control_topic),
            replace(QUEUE_EVENTS, name=queue.events_topic),
        ],
    )
    return REJECTS.name if REJECTS.name in partition_counts(settings.kafka) else None


def _last_known(
    settings: CaptureSettings | JobSettings,
    wishes: Iterable[Wish],
    topic_of: Callable[[str], str],
) -> dict[tuple[str, Channel], LastKnown]:
    """What was written before, of each unit and of the candles of each ticker with trades."""
    wanted = set()
    for wish in wishes:
        for ticker, type_ in channels_of(wish):
            wanted.add(Wanted(topic_of(type_), wish.exchange, ticker, type_))
            if type_ == TRADES:
                candles = topic_of(CANDLE_UPDATES)
                wanted.add(Wanted(candles, wish.exchange, ticker, CANDLE_UPDATES))
    found = read_last_known(settings.kafka, sorted(wanted))
    return {(one.exchange, Channel(one.ticker, one.type)): at for one, at in found.items()}


def _stream(producer: Producer, settings: CaptureSettings | JobSettings, wish: Wish) -> Stream:
    units = [(ticker, type_) for ticker in wish.tickers for type_ in wish.types]
    return Stream(wish, Telemetry(producer, settings.queue, wish.queue_id, units))


def _on_stop(queue_id: str, finish: threading.Event) -> Callable[[str], None]:
    def obey(stopped: str) -> None:
        if stopped == queue_id:
            finish.set()

    return obey


def _write_instruments(
    table: str, stop: threading.Event, instruments: Iterable[Instrument]
) -> None:
    """Names are a convenience: capture goes on without them, and tries again beside it."""
    known = list(instruments)
    if table and not _try_to_write(table, known):
        write = partial(_keep_writing, table, stop, known)
        threading.Thread(
            target=outermost, args=(write, _not_written), name="instruments", daemon=True
        ).start()


def _keep_writing(table: str, stop: threading.Event, known: Sequence[Instrument]) -> None:
    while not stop.wait(_INSTRUMENTS_PAUSE_S):
        if _try_to_write(table, known):
            return


def _try_to_write(table: str, known: Sequence[Instrument]) -> bool:
    try:
        instruments_table.write(table, known)
    except StoreError as error:
        _not_written(error)
        return False
    return True


def _not_written(error: TapedeckError) -> None:
    log.event("capture.instruments", level="error", message=str(error))
