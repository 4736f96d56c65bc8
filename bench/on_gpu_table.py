"""The table of `on_gpu.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

GOALS = {"pairs": 25_000, "separation": 500, "windows": 100_000}
"""On an H200: pairs per second in the published setting, times real time, windows per second."""
Row = tuple[str, str, str]


def table(content: Mapping[str, Any]) -> str:
    """Markdown of the results: the machine, one row per measurement, and what went wrong."""
    parts = content["parts"]
    machine = parts.get("machine", {})
    title = (
        f"{content['date']}, {machine.get('name', content['device'])}, torch"
        f" {machine.get('torch', '?')}{', smoke test' if content['smoke'] else ''}:"
    )
    lines = [title, "", "| what | measured | goal |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(parts)]
    problems = [
        f"* `{name}`: {part.get('error') or part.get('skipped')}"
        for name, part in parts.items()
        if "error" in part or "skipped" in part
    ]
    return "\n".join([*lines, "", *problems]).rstrip() + "\n"


def _rows(parts: Mapping[str, Any]) -> Iterator[Row]:
    for name, rows in _WRITERS.items():
        try:
            yield from rows(parts[name])
        except (KeyError, TypeError):  # the part was stopped before it had measured this
            continue


def _machine(part: Mapping[str, Any]) -> Iterator[Row]:
    rates = ", ".join(f"{kind} {rate:,.3g}" for kind, rate in part["matmul_tflops"].items())
    yield "matrix product, TFLOP/s", rates, ""
    yield "copy, GB/s", f"{part['copy_gigabytes_per_second']:,.0f}", ""


def _numerics(part: Mapping[str, Any]) -> Iterator[Row]:
    yield "log-mel, largest difference from the CPU", f"{part['log_mel']:.1e}", "1e-3"
    for name, value in part["encoders"].items():
        yield f"{name}, embeddings, relative difference from the CPU", f"{value:.1e}", "1e-3"
    for name, difference in part["objectives"].items():
        yield f"{name}, step in fp32, difference from the CPU", _difference(difference), ""
    for name, difference in part["modes"].items():
        yield f"{name}, difference from fp32", _difference(difference), ""


def _difference(part: Mapping[str, float]) -> str:
    return (
        f"loss {100 * part['loss']:.2g} %, gradient {100 * part['gradient']:.2g} %, cosine"
        f" {part['cosine']:.3f}"
    )


def _pretrain(part: Mapping[str, Any]) -> Iterator[Row]:
    goal = f"{GOALS['pairs']:,}"
    yield "pre-training as published, `mscol pretrain`, pairs/s", _rate(part), goal
    compute = part["compute"]
    chosen = ", ".join(
        f"{key} {compute[key]}"
        for key in ("precision", "compiled", "cuda_graphs", "graph_breaks", "store_on")
    )
    yield "mode that `auto` settled on", chosen, ""
    if compute["difference"]:
        yield "its first step, difference from fp32", _difference(compute["difference"]), ""
    yield "comparing the mode, compilation included, s", f"{part['settling_s']:.0f}", ""
    yield "waiting for data", f"{100 * part['data_wait']:.1f} %", ""


def _rate(part: Mapping[str, Any]) -> str:
    return f"{part['pairs_per_second']:,.0f} ({part['measured_s']:.0f} s)"


def _curve(part: Mapping[str, Any]) -> Iterator[Row]:
    for size, rates in part["pairs_per_second"].items():
        for mode, rate in rates.items():
            yield f"{size} pairs, {mode}, steps alone, pairs/s", f"{rate:,.0f}", ""


def _roofline(part: Mapping[str, Any]) -> Iterator[Row]:
    yield "GFLOP per pair", f"{part['gflop_per_pair']:.2f}", ""
    yield "activations per pair, MB", f"{part['activation_megabytes_per_pair']:.1f}", ""
    yield "bound by FLOPs, pairs/s", f"{part['pairs_per_second_by_flops']:,.0f}", ""
    yield "bound by memory, pairs/s", f"{part['pairs_per_second_by_bytes']:,.0f}", ""


def _embed(part: Mapping[str, Any]) -> Iterator[Row]:
    for name, rate in part["windows_per_second"].items():
        goal = f"{GOALS['windows']:,}" if name == "efficientnet_b0" else ""
        yield f"{name}, waveform to vector, windows/s", f"{rate:,.0f}", goal
    command = part["command"]
    yield "`mscol embed`, decoding included, windows/s", f"{command['windows_per_second']:,.0f}", ""


def _separate(part: Mapping[str, Any]) -> Iterator[Row]:
    for name, values in part["models"].items():
        for clips, speed in values["clips"].items():
            label = f"Open-Unmix, {name} units, {clips} clips at once, times real time"
            yield label, f"{speed:,.0f}", ""
        label = f"`mscol separate`, {name} units, decoding and store included, times real time"
        yield label, f"{values['command']['times_real_time']:,.0f}", f"{GOALS['separation']}"


def _probe(part: Mapping[str, Any]) -> Iterator[Row]:
    label = f"`mscol probe` of {part['notes']:,} notes from cached vectors, s"
    yield label, f"{part['command_s']:.1f}", ""


def _resume(part: Mapping[str, Any]) -> Iterator[Row]:
    yield "resumed run, relative difference of weights", f"{part['difference']:.1e}", ""


def _memory(part: Mapping[str, Any]) -> Iterator[Row]:
    yield "out of memory", f"exit code {part['code']}: {part['message']}", "exit code 1"


def _learning(part: Mapping[str, Any]) -> Iterator[Row]:
    for device, losses in part["losses"].items():
        yield f"loss of a short run on {device}", f"{losses[0]:.2f} -> {losses[1]:.2f}", "it falls"


_WRITERS = {
    "machine": _machine,
    "numerics": _numerics,
    "pretrain": _pretrain,
    "curve": _curve,
    "roofline": _roofline,
    "embed": _embed,
    "separate": _separate,
    "probe": _probe,
    "resume": _resume,
    "memory": _memory,
    "learning": _learning,
}
