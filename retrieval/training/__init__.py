"""Making encoders: recipes, the frames and captions they learn from, the loop."""
