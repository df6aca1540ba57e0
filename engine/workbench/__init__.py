"""What a product team does with rule files before anybody plays by them: schemas, explanations, comparisons."""
