"""ResNet-50 (He et al. 2015, torchvision's v1.5): the model the project began with."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "resnet50",
    head="fc",
    weights="ResNet50_Weights.IMAGENET1K_V2",
    summary="ResNet-50, 25.6 M parameters, 4.1 G multiply-adds, embedding of 2048",
)
