"""Training: from the feature cache to run folders."""

import os

# Turns that an idle thread of OpenMP waits for work before it sleeps, 300,000 by default: on a core that
# others use, waiting takes their time and ours (docs/howto/training.md). It is read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
