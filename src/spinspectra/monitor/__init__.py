"""A network watched while it trains: norms often, spectra now and then, within a budget of the training's time.

`Watch` is for any loop. The callbacks of frameworks are `spinspectra.monitor.trainer.SpinSpectraCallback` (Hugging Face
Trainer), `spinspectra.monitor.lightning.SpinSpectraCallback` and `spinspectra.monitor.keras.SpinSpectraCallback`; each
module imports its framework when the class is first asked for.
"""

from spinspectra.monitor.loggers import MlflowLog, TensorBoardLog, WandbLog
from spinspectra.monitor.settings import MonitorWarning, Settings
from spinspectra.monitor.watch import Watch

__all__ = ["MlflowLog", "MonitorWarning", "Settings", "TensorBoardLog", "WandbLog", "Watch"]
