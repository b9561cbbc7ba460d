"""Services compared: what `bench-serve` starts, calls and measures.

servers.py          starts and stops a service in a process of its own
ray_serve.py        the contenders on Ray Serve, a small program
lit_serve.py        the contender on LitServe, a small program
ray_host.py         a Ray Serve application on a port, as in Ray's own example
plain_diffusers.py  the model as diffusers provides it, for the contenders
arrivals.py         a trace as requests with times
client.py           the one client: open loop, closed loop
in_process.py       the engine without any service, the baseline of all
figures.py          from responses to figures
bench.py            the benchmark itself
render.py           prints and draws the figures, and declares the benchmark
"""
