from tests.export.drawn_heart import localiser_bundle, saved_model_bundle, tflite_bundle

__all__ = ["localiser_bundle", "saved_model_bundle", "tflite_bundle"]
