"""What few users ask for: each module is found through EXTRAS and imported only when it is asked for."""
