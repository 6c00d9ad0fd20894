"""What the three stages do not need; base/extras.py lists it. For type checkers, this
module has the names of `featurestack` that extras add.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestack.extras.alterations import alter as alter
    from featurestack.extras.importance.curve import curve as curve
    from featurestack.extras.importance.importance import importance as importance
    from featurestack.extras.onnx import export as export
    from featurestack.extras.recordings.windows import windows as windows
    from featurestack.extras.stress.stress import stress as stress
    from featurestack.extras.transformer import Features as Features
