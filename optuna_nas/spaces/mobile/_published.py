"""The published tables of blocks behind the presets of the mobile space."""

from __future__ import annotations

from optuna_nas.spaces.mobile._stage import MobileStage


FBNET_C = (
    "fbnet|stem16s2|16s1(k3e1_relu)|24s2(k3e6_relu,skip,k3e1_relu,k3e1_relu)"
    "|32s2(k5e6_relu,k5e3_relu,k5e6_relu,k3e6_relu)"
    "|64s2(k5e6_relu,k5e3_relu,k5e6_relu,k5e6_relu)"
    "|112s1(k5e6_relu,k5e6_relu,k5e6_relu,k5e3_relu)"
    "|184s2(k5e6_relu,k5e6_relu,k5e6_relu,k5e6_relu)|352s1(k3e6_relu)|head1984"
)
"""FBNet-C (Wu et al., CVPR 2019, figure 4), a member of :meth:`MobileSpace.fbnet`."""

MOBILENET_V3_LARGE = (
    "mobilenet_v3|stem16s2|16s1(k3e1_relu)|24s2(k3e4_relu,k3e3_relu)"
    "|40s2(k5e3se0.25_relu,k5e3se0.25_relu,k5e3se0.25_relu)"
    "|80s2(k3e6_hswish,k3e2.5_hswish,k3e2.3_hswish,k3e2.3_hswish)"
    "|112s1(k3e6se0.25_hswish,k3e6se0.25_hswish)"
    "|160s2(k5e6se0.25_hswish,k5e6se0.25_hswish,k5e6se0.25_hswish)|head1280"
)
"""MobileNetV3-Large (Howard et al., ICCV 2019, table 1), of :meth:`MobileSpace.mobilenet_v3`."""

_B0_STAGES = (
    # Expansion, kernel, width, number of blocks, stride.
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)

EFFICIENTNET_B0 = "|".join(
    [
        "efficientnet|stem32s2",
        *(
            f"{width}s{stride}({','.join([f'k{kernel}e{expansion}se0.25_swish'] * n)})"
            for expansion, kernel, width, n, stride in _B0_STAGES
        ),
        "head1280",
    ]
)
"""EfficientNet-B0 (Tan & Le, ICML 2019, table 1), a member of :meth:`MobileSpace.efficientnet`."""

EFFICIENTNET_SCALING = {
    "b0": (1.0, 1.0, 224),
    "b1": (1.0, 1.1, 240),
    "b2": (1.1, 1.2, 260),
    "b3": (1.2, 1.4, 300),
    "b4": (1.4, 1.8, 380),
    "b5": (1.6, 2.2, 456),
    "b6": (1.8, 2.6, 528),
    "b7": (2.0, 3.1, 600),
}
"""Width coefficient, depth coefficient and resolution of EfficientNet-B0 to B7.

As in the code that the authors published for Tan & Le, ICML 2019.
"""


def fbnet_stages() -> list[MobileStage]:
    """Return the stages of Wu et al., CVPR 2019, table 1, with the blocks of table 2."""
    table = [(16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1)]
    return [
        MobileStage(
            depths=(n, n), widths=(width,), strides=(stride,), expansions=(1, 3, 6), skip=True
        )
        for width, n, stride in table
    ]


def mobilenet_v3_stages() -> list[MobileStage]:
    """Return the stages of MobileNetV3-Large with a block and a width less or more."""
    table = [
        ((1, 2), (16, 24), 1),
        ((1, 3), (16, 24, 32), 2),
        ((2, 4), (32, 40, 48), 2),
        ((3, 5), (64, 80, 96), 2),
        ((1, 3), (96, 112, 128), 1),
        ((2, 4), (128, 160, 192), 2),
    ]
    return [
        MobileStage(
            depths=depths,
            widths=widths,
            strides=(stride,),
            expansions=(1, 2.3, 2.5, 3, 4, 6),
            se_ratios=(0, 0.25),
            activations=("relu", "hswish"),
        )
        for depths, widths, stride in table
    ]


def efficientnet_stages() -> list[MobileStage]:
    """Return the stages of EfficientNet-B0 with a block and a quarter of the width less or more.

    These are the choices of MnasNet's space (Tan et al., CVPR 2019, section 4.1), in which it was
    found.
    """
    return [
        MobileStage(
            depths=(max(1, n - 1), n + 1),
            widths=tuple(sorted({max(8, round(width * f / 8) * 8) for f in (0.75, 1, 1.25)})),
            strides=(stride,),
            expansions=(1, 3, 6),
            se_ratios=(0, 0.25),
            activations=("swish",),
        )
        for _, _, width, n, stride in _B0_STAGES
    ]


def small_stages(n_stages: int, max_depth: int) -> list[MobileStage]:
    """Return stages of doubling width, the first of stride 1 or 2, the others of stride 2."""
    return [
        MobileStage(
            depths=(1, max_depth),
            widths=(16 * 2**i, 24 * 2**i),
            strides=(1, 2) if i == 0 else (2,),
            expansions=(2, 4),
            se_ratios=(0, 0.25),
            activations=("relu", "hswish"),
        )
        for i in range(n_stages)
    ]
