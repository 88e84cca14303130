"""From a composed file to a trained model: the recipe, and what each trainer needs to follow it."""
