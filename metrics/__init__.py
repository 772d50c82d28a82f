"""What a segmentation and a measurement are worth. NumPy and SciPy only.

`overlap`, `surface` and `boxes` judge one frame, `agreement` a series of pairs; `bootstrap` says how sure a figure is,
`paired` whether one method is better than another, `selective` which measurements to trust. docs/metrics.md lists every
definition with its source and the tool that defines the same.

Conventions, stated once and kept everywhere:

- `reference` is what is held true, `prediction` what is judged; a signed error is prediction − reference.
- Arrays and points are `(row, col)`. Distances have the unit of the spacing they are given: mm with `spacing_mm`,
  pixels with (1, 1). Nothing here guesses a spacing.
- **What is not defined is NaN, never 0 or 1**, and whoever summarises counts it:
  every ratio whose denominator is zero (Dice and IoU of two empty masks, sensitivity of an empty reference, CPA of an
  empty prediction), every distance with an empty side, a correlation of fewer than two pairs or of a constant, a
  standard deviation of fewer than two values, a Shapiro–Wilk test of fewer than three values or of a constant, R² of a
  constant reference, a bootstrap interval of fewer than two groups, a Wilcoxon test where no pair differs, a ROC area
  without a positive or without a negative, a conformal width that would have to be infinite.
  Where one mask alone is empty, Dice, IoU and surface Dice are defined: 0.
- What cannot be meant (masks of different shape, a spacing that is not positive, NaN among the values of a statistic)
  is a ValueError.
- Standard deviations are of the sample (divided by n − 1); percentiles interpolate linearly between order statistics.
"""
