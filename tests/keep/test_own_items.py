"""The keeper and the functions read one another's items: nothing here is written by a test."""


def test_only_the_client_that_never_registered_is_closed(
    start_keeper, gateway, items, wait_until
):
    silent, registered = (gateway.connect(url=gateway.ws, header=[]) for _ in range(2))
    for client in (silent, registered):
        assert client.receive()["type"] == "welcome"
    assert registered.ask({"type": "register", "filters": {}})["type"] == "registered"
    start_keeper(KEEP_REGISTER_S="0.1")
    wait_until(lambda: not gateway.has(silent), 20, "the close")
    wait_until(lambda: items.of(silent.id) == [], 10, "the clearing up")
    items.await_sweeps(wait_until, 3)
    assert gateway.has(registered)
    assert items.of(registered.id) != []
