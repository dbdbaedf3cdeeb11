"""A thermometer on a wired network, and phones that read it over 3G. Edit it: every line is yours."""

from wotemu import Link, Network, NetworkConditions, Node, NodeApp, Phase, Scenario, Topology, at, during

# A network, and what its packets meet: latency, jitter, loss, rate, queue; CABLE is one of the presets.
house = Network("house", NetworkConditions(latency="5ms", rate="20mbit"))

# A link of its own for each replica that is on it, with conditions beside those of its network.
mobile = Link(house, NetworkConditions.REGULAR_3G)

# A node runs an app (a function in a file), or any program: command=["ping", "thermometer"].
# http, ws, coap and mqtt are the servers of its Things; params are keyword arguments of its function.
thermometer = Node("thermometer", NodeApp("app.py:thermometer", http=True), networks=[house])
phone = Node(
    "phone",
    NodeApp("app.py:phone", params={"every_s": 0.5}),
    networks=[mobile],
    scale=2,  # phone-1 and phone-2
)


def topology() -> Topology:
    """What there is."""
    return Topology([thermometer, phone])


def scenario() -> Scenario:
    """What happens. Times count from T0, when all apps are ready; the same seed gives the same changes."""
    return Scenario(
        duration="20s",
        seed=1,
        # The report compares phases with each other.
        phases=[Phase("clear", 0), Phase("fading", "7s"), Phase("cut", "13s"), Phase("healed", "16s")],
        events=[
            during("7s", "13s").set(mobile, latency="400ms", loss="2%"),
            at("13s").partition([phone], [thermometer]),
            at("16s").heal(),
        ],
    )
