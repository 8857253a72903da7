"""How the embedded network was made: `python -m training` from the project's root makes it again."""
