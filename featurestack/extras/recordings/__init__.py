"""Events: sounds with a beginning and an end in recordings, found by the frame."""
