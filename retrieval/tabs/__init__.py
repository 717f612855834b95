"""The page: one module per tab, and what they share. This floor owns gradio."""
