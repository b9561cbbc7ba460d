"""Services beside each other: what `bench-serve` starts, asks and adds up.

needs.py          what must be installed for it
stock.py          the model as diffusers gives it, for the contenders
ray_host.py       a Ray Serve application on a port, in the shape of Ray's own example
*_serve.py        the contenders, each a small program of its own
servers.py        starting and stopping a service in a process of its own
arrivals.py       a trace as requests with times
client.py         the one client: open loop, closed loop
in_process.py     the engine without any service around it, which all are held against
figures.py        from what came back to figures
"""
