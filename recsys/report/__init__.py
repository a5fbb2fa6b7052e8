"""Reports about the data, the published results and the models, as a page and as plots."""
