"""Networks for stacked feature channels and for waveforms: one decorated function a model.

Every network takes a batch of stacked channels (B, C, H, W), float, and returns logits (B, classes); an
ensemble, while it trains, those of each member, (B, members, classes). An image model takes any H and W from
64x108 up. A wave model takes H = 1 and W samples. `linear` takes row statistics instead, see
`train.models.linear`. `resolve` of architecture.py imports a module when its model is asked for.
"""
