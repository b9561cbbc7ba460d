"""The interactive service on Ray Serve, which keeps the models of each role loaded.

serve.yaml       every number of the service
args.py          the typed arguments that serve.yaml fills
application.py   from those arguments to a Serve application
router.py        the deployment that every call enters by: http/ and calls/ run in it
http/            the HTTP application: endpoints, keys, limits, server-sent events
calls/           one call from the request's body to its images: routing, idempotency, rate limits
replica/         one engine per replica; a replica follows the alias it was deployed by
monitoring/      metrics, the log of calls, the Grafana dashboard
launch.py        starts and stops Ray and Serve on this machine

What does not need Ray is kept in classes that do not import it.
"""
