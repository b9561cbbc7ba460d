"""The preview service on Ray Serve, which keeps the models of each role loaded.

serve.yaml           every number of the service
args.py              the typed arguments that serve.yaml fills
application.py       builds the Serve application from the arguments
router.py            the ingress deployment: http/ and calls/ run in it
preview_service.py   the parts of the service without HTTP and Ray
http/                the HTTP application: endpoints, authentication, server-sent events, the page
calls/               a call: admission (route, requests, limits), then rendering
replica/             one engine per replica; a replica follows the alias it was deployed by
monitoring/          metrics, the log of calls, the Grafana dashboard
launch.py            starts and stops Ray and Serve on this machine

http/, calls/, monitoring/ and replica/engine_worker.py do not import Ray.
"""
