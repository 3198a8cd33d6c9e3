"""MobileNetV2 (Sandler et al. 2018): depthwise convolutions in inverted residuals."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "mobilenet_v2",
    head="classifier.1",
    weights="MobileNet_V2_Weights.IMAGENET1K_V2",
    summary="MobileNetV2, 3.5 M parameters, 0.30 G multiply-adds, embedding of 1280",
)
