"""Networks for feature maps, waveforms, vectors and row statistics: one decorated
function for each model.

A network takes a batch (B, C, H, W), float, and returns logits (B, classes). In
training a network that averages several returns the logits of each, (B, networks,
classes). An image model takes any H and W from 64x108 up. A wave model takes H = 1 and
W samples; models on vectors and row statistics take H = W = 1 and C numbers.

architecture.py has the decorator and finds a model by name. catalogue.py has every
model of the project, the other modules have the networks.
"""
