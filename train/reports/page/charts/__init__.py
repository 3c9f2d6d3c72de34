"""Charts in inline SVG. Colours come from style.css, so that they suit dark mode."""
