"""VGG-16 (Simonyan and Zisserman 2014): plain 3x3 convolutions and wide linear layers."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "vgg16",
    head="classifier.6",
    weights="VGG16_Weights.IMAGENET1K_V1",
    summary="VGG-16, 138 M parameters, 15.5 G multiply-adds, embedding of 4096",
)
