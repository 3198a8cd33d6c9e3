"""MobileNetV3-small (Howard et al. 2019): squeeze-and-excitation and hard swish."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "mobilenet_v3_small",
    head="classifier.3",
    weights="MobileNet_V3_Small_Weights.IMAGENET1K_V1",
    summary="MobileNetV3-small, 2.5 M parameters, 0.06 G multiply-adds, embedding of 1024",
)
