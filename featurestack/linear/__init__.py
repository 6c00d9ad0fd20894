"""Ridge regression in closed form. No torch."""
