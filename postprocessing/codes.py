"""The structure codes of a label map that measuring needs: the same numbers as `data_pipeline.sample.Structure`."""

BACKGROUND = 0
LV = 1
MYO = 2
LA = 3
MV = 5
