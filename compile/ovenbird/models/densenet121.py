"""DenseNet-121 (Huang et al. 2016): every layer reads all before it."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "densenet121",
    head="classifier",
    weights="DenseNet121_Weights.IMAGENET1K_V1",
    summary="DenseNet-121, 8.0 M parameters, 2.8 G multiply-adds, embedding of 1024",
)
