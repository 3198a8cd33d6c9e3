"""ViT-B/16 (Dosovitskiy et al. 2020): a transformer over 16x16 patches."""

from ovenbird.models._classifier import classifier

MODEL = classifier(
    "vit_b_16",
    head="heads.head",
    weights="ViT_B_16_Weights.IMAGENET1K_V1",
    summary="ViT-B/16, 86.6 M parameters, 17.6 G multiply-adds, embedding of 768",
)
