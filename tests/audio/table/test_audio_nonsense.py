"""Headers that make no sense, and files that point to others: refused early and cheaply."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mscol_cli.audio import read_audio
from mscol_cli.errors import BadInputError
from tests.audio.table.build_pcm import wav
from tests.audio.table.memory import PEAK
from tests.audio.table.nonsense import nonsense

_MEGABYTES = 100
# Each file through the function that resamples, and the most memory that the process ever had.
_SCRIPT = (
    PEAK
    + """
import json, sys
from mscol_cli.audio import load_mono
from mscol_cli.errors import BadInputError
from mscol_cli.audio import read_audio
read_audio(Path(sys.argv[1]))
before, found = peak_kilobytes(), dict()
for path in map(Path, sys.argv[2:]):
    try:
        found[path.name] = str(len(load_mono(path, 16000))) + " samples"
    except BadInputError as error:
        found[path.name] = error.__class__.__name__ + ": " + str(error)
print(json.dumps([peak_kilobytes() - before, found]))
"""
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process's peak memory")
def test_headers_that_make_no_sense_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    good = tmp_path / "good.wav"
    good.write_bytes(wav())
    paths = []
    for name, content in nonsense():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, good, *paths],
        capture_output=True,
        check=True,
        timeout=60,
    )
    kilobytes, found = json.loads(done.stdout)
    assert {name: text for name, text in found.items() if "BadInputError" not in text} == {}
    assert kilobytes < _MEGABYTES << 10


PLAYLISTS = {
    "an HLS playlist": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\n{name}\n"
    "#EXT-X-ENDLIST\n",
    "an HLS playlist with a full address": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\n"
    "file://{path}\n#EXT-X-ENDLIST\n",
    "a concat script": "ffconcat version 1.0\nfile '{name}'\n",
    "an SDP file": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\na=rtpmap:0 PCMU/8000\n",
    "a DASH manifest": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"'
    ' type="static" mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/wav">'
    '<Representation id="1" bandwidth="1"><BaseURL>{name}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>\n",
    "a list of images": "img%d.png\n",
}


@pytest.mark.parametrize("suffix", [".m4a", ".mp4", ".wav", ".mp3", ".aac", ".flac", ".webm"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_refused_and_open_no_other_file(
    tmp_path: Path, kind: str, suffix: str
) -> None:
    secret, path = tmp_path / "secret.wav", tmp_path / f"a{suffix}"
    secret.write_bytes(wav())
    os.utime(secret, (1, 2))  # read after this, its time of access changes
    path.write_text(PLAYLISTS[kind].format(name=secret.name, path=secret))
    begun = time.monotonic()
    with pytest.raises(BadInputError, match="not audio"):
        read_audio(path)
    assert time.monotonic() - begun < 5
    assert secret.stat().st_atime == 1
