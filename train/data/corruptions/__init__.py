"""The common corruptions: nineteen kinds of damage to images, each in five severities.

Reference: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common
Corruptions and Perturbations", https://arxiv.org/abs/1903.12261, 2019.
"""
