"""ResNet-18 (He et al. 2016) for any number of channels, without its last layer.

Its names are torchvision's, so that torchvision's weights fit; a test holds the two together.
"""

from torch import Tensor, nn
from torch.nn import functional


def convolution(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a square convolution without bias, padded to keep H and W at stride 1."""
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """Conv - BN - ReLU - Conv - BN, plus the input (1 x 1 Conv - BN if it changes size), ReLU."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = convolution(before, after, 3, stride), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = convolution(after, after, 3), nn.BatchNorm2d(after)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                convolution(before, after, 1, stride), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, before, H, W) to (B, after, H / stride, W / stride)."""
        kept = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + kept)


class ResNet18(nn.Module):
    """Stem, four stages of two blocks, mean over H and W; 8 * width features.

    width: channels of the first stage; each later stage doubles them and halves H and W.
    """

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.features = 8 * width
        self.conv1, self.bn1 = convolution(channels, width, 7, 2), nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, 1)
        self.layer2 = _stage(width, 2 * width, 2)
        self.layer3 = _stage(2 * width, 4 * width, 2)
        self.layer4 = _stage(4 * width, 8 * width, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # as torchvision begins: by the outputs, so that gradients keep their size backwards
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, channels, H, W) to (B, 8 * width)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))  # any H and W


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(before, after, stride), BasicBlock(after, after, 1))
