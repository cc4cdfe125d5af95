"""Nothing here depends on time or on how busy the machine is."""

import os

from hypothesis import HealthCheck, settings

# Threads of models this small wait for each other: on a busy machine ten times as long. Set before torch is imported,
# and inherited by every command that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# property tests are about outcomes, never about time
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
