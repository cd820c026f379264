"""What the chapters compute: their experiments, in one module a chapter, without a drawing in them."""
