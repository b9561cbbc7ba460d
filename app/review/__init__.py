"""Review: the page on which a person sees images as they are made, and keeps some of them."""
