"""Golden sound files: a second and a half of jfk.wav as FLAC, MP3, OGG Vorbis, M4A and WAV, at other rates, in stereo.

usage: audio_files.py [OUT]
needs: soundfile 0.13, soxr, av 18 (for AAC in M4A only), numpy

The left channel is the speech, the right one the same at 0.6: mixed down it is the speech at 0.8. The speech is samples 4800 to
28800 of jfk.wav, faded in and out by the fourth root of a Hann window.
"""

import sys
import wave
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

GOLDEN = Path(__file__).parents[1] / "golden"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else GOLDEN / "audio")

with wave.open(str(GOLDEN / "audio/jfk.wav")) as file:
    jfk = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
speech = jfk[4800 : 4800 + 24000] * np.hanning(24000).astype(np.float32) ** 0.25


def stereo(rate):
    mono = soxr.resample(speech, 16000, rate, quality="VHQ").astype(np.float32)
    return np.stack([mono, mono * np.float32(0.6)], 1)


soundfile.write(OUT / "speech_48k_stereo.wav", stereo(48000)[:14400], 48000, subtype="PCM_24")
soundfile.write(OUT / "speech_22k.flac", stereo(22050), 22050, subtype="PCM_16")
soundfile.write(OUT / "speech_44k.mp3", stereo(44100), 44100, compression_level=0.8)
soundfile.write(OUT / "speech_44k.ogg", stereo(44100), 44100, subtype="VORBIS", compression_level=0.8)
with av.open(str(OUT / "speech_48k.m4a"), "w", format="ipod") as container:
    stream = container.add_stream("aac", rate=48000, layout="stereo")
    stream.bit_rate = 64000
    samples = stereo(48000)
    for at in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[at : at + 1024].T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = 48000, at
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
for path in sorted(OUT.glob("speech*")):
    print(path.name, path.stat().st_size)
