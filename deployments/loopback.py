"""Binds the gRPC server of a Serve replica to loopback; Serve binds it to all interfaces."""

from ipaddress import ip_address
from typing import Any

import ray
from ray._common.tls_utils import add_port_to_grpc_server
from ray.serve._private import replica


def keep_on_loopback() -> None:
    """Binds this replica's gRPC server to loopback; call it in the replica's constructor.

    Serve 2.60 starts the server after the constructor, for calls between replicas. It asks for
    Ray's token, but on a single machine no other machine needs to reach it. On a node with its own
    address nothing is changed: replicas of other nodes call it there.
    """
    if ip_address(ray.util.get_node_ip_address()).is_loopback:
        vars(replica)["add_port_to_grpc_server"] = _on_loopback


def _on_loopback(server: Any, address: str) -> Any:
    return add_port_to_grpc_server(server, f"127.0.0.1:{address.rpartition(':')[2]}")
