"""Other processors that this one can play, by what its libraries may be told to leave out.

`pytest --processor NAME` runs any part of the suite as on such a processor;
`tests/test_processors.py` runs the tests whose outcome hangs on bits on each of them.
"""

from dataclasses import dataclass, field

from app.environment import BLAS_MODE, cpu_flags


@dataclass(frozen=True)
class Processor:
    """A processor as torch's libraries see it."""

    name: str
    environment: dict[str, str]
    needs: frozenset[str] = field(default=frozenset())
    """The instruction sets, in Linux' words, that this machine must have to play it."""

    @property
    def missing(self) -> list[str]:
        """What this machine lacks to play it."""
        return sorted(self.needs - cpu_flags())


AVX2, AVX512 = frozenset({"avx2"}), frozenset({"avx2", "avx512f"})
PROCESSORS = (
    Processor("avx512-strict", {BLAS_MODE: "AVX512,STRICT"}, AVX512),
    Processor("avx2-strict", {BLAS_MODE: "AVX2,STRICT", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}, AVX2),
    Processor("avx2", {BLAS_MODE: "OFF", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}, AVX2),
    Processor("unset", {BLAS_MODE: "OFF"}),
    Processor("compatible", {BLAS_MODE: "COMPATIBLE"}, frozenset({"sse2"})),
    Processor("onednn-sse41", {"ONEDNN_MAX_CPU_ISA": "SSE41"}, frozenset({"sse4_1"})),
    Processor("onednn-avx2", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, AVX2),
    Processor("aten-default", {"ATEN_CPU_CAPABILITY": "default"}),
    Processor("aten-avx2", {"ATEN_CPU_CAPABILITY": "avx2"}, AVX2),
)
"""Each with one and two threads, where tests set the number of threads themselves."""


def processor_of(name: str) -> Processor:
    """Returns the processor of this name; raises KeyError for any other."""
    return {processor.name: processor for processor in PROCESSORS}[name]
