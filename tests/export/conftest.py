from tests.export.drawn_heart import int8_bundle, integer_bundle, localiser_bundle, saved_model_bundle, tflite_bundle

__all__ = ["int8_bundle", "integer_bundle", "localiser_bundle", "saved_model_bundle", "tflite_bundle"]
