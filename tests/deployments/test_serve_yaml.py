"""The shape of the service: Ray takes the file, every number is ours to check, keys come first."""

import asyncio
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.api.keys import add_key
from app.errors import InvalidRequest, NoRoute

CONFIG = Path(__file__).parents[2] / "deployments" / "serve.yaml"


@pytest.fixture(autouse=True)
def ray_may_warn() -> Iterator[None]:
    """Ray's own modules use what pydantic deprecates; ours are checked everywhere else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def written(tmp_path: Path, change: Any) -> Path:
    document = yaml.safe_load(CONFIG.read_text())
    change(document["applications"][0]["args"])
    file = tmp_path / "serve.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def test_rays_own_schema_takes_the_file_and_ours_its_arguments() -> None:
    from deployments.launch import args_of, read_config

    config = read_config()
    assert config.http_options.host == "127.0.0.1"
    assert args_of(config).draft.model == "starter"


def test_the_application_is_built_with_the_numbers_of_the_file() -> None:
    from deployments.application import build
    from deployments.launch import args_of, read_config

    args = args_of(read_config())
    router = build(args)._bound_deployment
    deployments = {
        role: deployment._bound_deployment for role, deployment in router.init_args[3].items()
    }
    assert [deployment.name for deployment in deployments.values()] == [
        "draft",
        "polish",
        "typography",
    ]
    built = [(deployments[role], own) for role, own in args.renderers.items()]
    for deployment, own in ((router, args.router), *built):
        assert deployment.ray_actor_options["num_cpus"] == own.num_cpus
        assert deployment.max_ongoing_requests == own.max_ongoing_requests
        assert deployment.max_queued_requests == own.max_queued_requests


@pytest.mark.parametrize(
    "change",
    [
        lambda args: args["draft"].update(replica=2),
        lambda args: args["draft"].update(num_cpus=0),
        lambda args: args["draft"].pop("capacity"),
        lambda args: args["router"]["limits"].update(body_bytes=0),
        lambda args: args.update(polish={}),
        lambda args: args.update(hero=args["polish"]),
        lambda args: args["typography"]["replicas"].update(min_replicas=-1),
    ],
)
def test_a_number_that_is_missing_unknown_or_impossible_is_refused(
    tmp_path: Path, change: Any
) -> None:
    from deployments.launch import args_of, read_config

    with pytest.raises(InvalidRequest, match="args of atelier"):
        args_of(read_config(written(tmp_path, change)))


def test_a_role_that_is_left_out_is_not_deployed(tmp_path: Path) -> None:
    from deployments.application import build
    from deployments.launch import args_of, read_config

    args = args_of(read_config(written(tmp_path, lambda args: args.pop("typography"))))
    served = build(args)._bound_deployment.init_args[1]
    assert [model.role for model in served] == ["draft", "final"]
    assert [model.model.reference for model in served] == ["starter-icons/1", "starter-polish/1"]


def test_a_model_that_is_not_here_is_refused_when_it_is_built(tmp_path: Path) -> None:
    from deployments.application import build
    from deployments.launch import args_of, read_config

    file = written(tmp_path, lambda args: args["draft"].update(model="startr"))
    with pytest.raises(NoRoute, match="starter"):
        build(args_of(read_config(file)))


@pytest.mark.parametrize("text", ["applications: 3", "{", "- a"])
def test_a_file_that_is_no_serve_config_is_refused(tmp_path: Path, text: str) -> None:
    from deployments.launch import read_config

    file = tmp_path / "serve.yaml"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match="not a Serve config"):
        read_config(file)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "atelier.example"])
def test_a_host_that_others_reach_needs_keys_first(tmp_path: Path, host: str) -> None:
    from deployments.launch import check_exposure

    with pytest.raises(InvalidRequest, match="atelier keys add NAME"):
        check_exposure(host, tmp_path)
    for loopback in ("127.0.0.1", "::1", "localhost"):
        check_exposure(loopback, tmp_path)
    add_key(tmp_path, "team-a")
    check_exposure(host, tmp_path)


def test_a_port_that_is_taken_is_said_before_anything_is_started() -> None:
    from deployments.launch import check_free

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidRequest, match=f"127.0.0.1:{port} cannot be listened at"):
            check_free("127.0.0.1", port)
    check_free("127.0.0.1", port)


def test_the_commands_load_no_ray_before_they_need_it() -> None:
    code = "import deployments.__main__, sys; print({'ray', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_can_be_said_without_ray_is(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "import deployments.replica.engine_worker, deployments.http.app, deployments.http.auth\n"
        "import deployments.args"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_who_want_to_know_at_once_who_sleeps_share_one_question() -> None:
    from deployments.router import SleepingDeployments

    asked = 0

    def ask() -> frozenset[str]:
        nonlocal asked
        asked += 1
        return frozenset({"typography"})

    async def story() -> None:
        asleep = SleepingDeployments(ask)
        answers = await asyncio.gather(*(asleep() for _ in range(3)))
        assert (answers, asked) == ([{"typography"}] * 3, 1)
        await asleep()
        assert asked == 2  # later it may be otherwise

    asyncio.run(story())
