"""What every test may rely on: one tiny SD3 pipeline, and properties that never time anything."""

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from app.environment import use_strict_blas
from app.types import GenerationRequest
from tests.processors import PROCESSORS, processor_of
from tests.programs import PROGRAMS, NotInstalled

for profile, examples in (("atelier", 40), ("deep", 300)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,  # machines are busy; tests count, benchmarks measure
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
settings.load_profile("atelier")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `.ci/run` asks for."""
    parser.addoption(
        "--require-programs",
        action="store_true",
        help="fail where a test is skipped for want of a program that is required",
    )
    parser.addoption(
        "--deep", action="store_true", help="run the whole form of the tests that have a small one"
    )
    parser.addoption(
        "--processor",
        choices=[processor.name for processor in PROCESSORS],
        help="run as on another processor, by what torch's libraries are told to leave out",
    )


def pytest_xdist_auto_num_workers() -> int:
    """One process more than cores: tests of clusters and services wait more than they compute."""
    return (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Before torch computes anything, here and in the processes that tests start."""
    if config.getoption("--deep"):
        os.environ["ATELIER_TEST_DEEP"] = "1"
        settings.load_profile("deep")
    if name := config.getoption("--processor"):
        os.environ.update(processor_of(name).environment)
    use_strict_blas()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report names the missing program: it may be another process that sums them up."""
    report = yield
    error = call.excinfo and call.excinfo.value
    if isinstance(error, NotInstalled):
        report.user_properties.append(("missing", error.program.name))
        if error.program.required and item.config.getoption("--require-programs"):
            report.outcome = "failed"
            report.longrepr = f"{error} (--require-programs)"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not run for want of programs, and what to do."""
    skipped = terminalreporter.getreports("skipped")
    properties = [entry for report in skipped for entry in report.user_properties]
    missing = [value for key, value in properties if key == "missing"]
    for program in PROGRAMS:
        if number := missing.count(program.name):
            tests = f"{number} test{'s' * (number > 1)}, {program.untested}"
            terminalreporter.write_line(
                f"not run for want of programs: {program.name} ({tests}): {program.remedy}"
            )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: one that began last would leave the other cores idle."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("scaled")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def stock() -> Any:
    """diffusers' own pipeline at tiny size; one thread suits tiny matrices best."""
    import torch

    from app.models.random_weights import Sd3Shape, random_sd3

    torch.set_num_threads(1)
    return random_sd3(Sd3Shape())


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray that all files of this worker process share."""
    import ray

    from jobs.runtime.cluster import start_ray

    start_ray()
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def shared_ray(ray_address: str) -> Iterator[None]:
    """Makes the commands that this file starts join the shared Ray: starting one takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", ray_address)
        yield


@pytest.fixture
def request_of() -> Any:
    """A request with sensible small values where the test does not care."""

    def build(**changes: Any) -> GenerationRequest:
        fields: dict[str, Any] = {
            "prompt": "a red potion",
            "width": 16,
            "height": 16,
            "num_inference_steps": 4,
            "guidance_scale": 4.0,
        }
        return GenerationRequest(**(fields | changes))

    return build
