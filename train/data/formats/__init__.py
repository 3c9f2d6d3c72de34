"""How bytes become images: file formats and data sets."""
