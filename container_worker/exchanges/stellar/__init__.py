"""Contract events of the Stellar network, asked of an RPC node page by page (protocols 4)."""

from container_worker.exchanges.adapter import Adapter
from container_worker.exchanges.polling import Polling
from container_worker.exchanges.stellar import decode, subscribe

ADAPTER = Adapter(
    name=subscribe.EXCHANGE,
    numbering=subscribe.NUMBERING,
    limits=subscribe.LIMITS,
    restricted=subscribe.RESTRICTED,
    unauthorized=subscribe.UNAUTHORIZED,
    polling=Polling(
        window=subscribe.window_request,
        decode_window=decode.decode_window,
        page=subscribe.page_request,
        decode_page=decode.decode_page,
        notes=lambda query: subscribe.one_topic_filters(query.filters),
    ),
    instrument=subscribe.instrument,
)
