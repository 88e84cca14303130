"""What a trained model is served with, as bytes: pure, from the manifest, the recipe and the template."""
