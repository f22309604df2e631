import torch

from isthmus.training.inference import predict_train_ids, sliding_logits, window_starts


def test_windows_cover_the_length_and_end_at_its_end():
    assert window_starts(10, 4, 3) == [0, 3, 6]
    assert window_starts(10, 4, 4) == [0, 4, 6]
    assert window_starts(4, 4, 2) == [0]


def test_sliding_a_pixelwise_network_changes_nothing():
    image = torch.rand(2, 3, 9, 13, generator=torch.Generator().manual_seed(0))
    logits = sliding_logits(torch.nn.Identity(), image, (4, 5), (3, 2))
    torch.testing.assert_close(logits, image)


def test_overlaps_are_averaged():
    class Counting(torch.nn.Module):
        calls = 0

        def forward(self, image):
            self.calls += 1
            return torch.full_like(image[:, :1], float(self.calls))

    # Two windows of width 2 over width 3: the middle column is seen by both, (1 + 2) / 2.
    logits = sliding_logits(Counting(), torch.zeros(1, 3, 1, 3), (1, 2), (1, 1))
    assert logits.flatten().tolist() == [1.0, 1.5, 2.0]


def test_windows_larger_than_the_image_shrink():
    image = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(sliding_logits(torch.nn.Identity(), image, (64, 64), (32, 32)), image)


def test_logits_are_upsampled_before_the_argmax():
    # Linear between (1, 0) and (0, 1): the border lies in the middle.
    logits = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    pred = predict_train_ids(logits, (1, 8))
    assert pred.dtype == torch.uint8
    assert pred.tolist() == [[[0, 0, 0, 0, 1, 1, 1, 1]]]
