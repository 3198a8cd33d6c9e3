"""ResNet-18 (He et al. 2015): the small residual network."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "resnet18",
    head="fc",
    weights="ResNet18_Weights.IMAGENET1K_V1",
    summary="ResNet-18, 11.7 M parameters, 1.8 G multiply-adds, embedding of 512",
)
