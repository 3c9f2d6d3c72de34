"""The sections of the page, each a function from runs to HTML, or to nothing."""
