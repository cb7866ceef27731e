from nestling_core.network.proxies import bypass_proxies


def test_hosts_of_the_fleet_are_added_to_the_exempt_hosts() -> None:
    before = {"no_proxy": "a.lan, b.lan", "NO_PROXY": "c.lan", "https_proxy": "http://p:1"}

    exempt = "a.lan,b.lan,c.lan,localhost,127.0.0.1,::1,link.lan"

    environment = bypass_proxies(before, "link.lan", "::1")

    assert environment["no_proxy"] == environment["NO_PROXY"] == exempt
    assert environment["https_proxy"] == "http://p:1"
    assert before["no_proxy"] == "a.lan, b.lan"
