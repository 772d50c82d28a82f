from tests.export.drawn_heart import saved_model_bundle, tflite_bundle

__all__ = ["saved_model_bundle", "tflite_bundle"]
