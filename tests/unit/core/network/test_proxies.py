from nestling_core.network.proxies import past_proxies


def test_hosts_of_the_fleet_join_those_that_are_exempt_already() -> None:
    before = {"no_proxy": "a.lan, b.lan", "NO_PROXY": "c.lan", "https_proxy": "http://p:1"}

    exempt = "a.lan,b.lan,c.lan,localhost,127.0.0.1,::1,link.lan"

    made = past_proxies(before, "link.lan", "::1")

    assert made["no_proxy"] == made["NO_PROXY"] == exempt
    assert made["https_proxy"] == "http://p:1"
    assert before["no_proxy"] == "a.lan, b.lan"
