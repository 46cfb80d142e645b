"""T_c of the embedded checkpoints: the twins' where nothing was learned, far above it where something was."""

import numpy as np
import pytest

from spinspectra.demo.heat import tell_heat

pytestmark = pytest.mark.slow


def test_training_raises_the_temperature_of_ordering() -> None:
    chapters = {chapter.checkpoint.name: chapter for chapter in tell_heat()}
    for name, chapter in chapters.items():
        peaks = [one.heat.attrs for one in (chapter.trained, chapter.shuffled)]
        apart = (peaks[0]["T_c"] - peaks[1]["T_c"]) / np.hypot(peaks[0]["T_c_err"], peaks[1]["T_c_err"])
        assert abs(apart) < 4.0 if name == "initial" else apart > 4.0
        for one in (chapter.trained, chapter.shuffled):
            assert one.density.width == pytest.approx(-2.0 * one.density.how["e_min"], rel=0.02)
