"""The features `embedding@model=NAME`, the answer of a pretrained network, and
`imagenet@of=NAME`, that of ResNet-18's first stages on another feature's map.
"""
