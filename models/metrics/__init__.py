"""How alike or natural images are: MS-SSIM, PSNR, perceptual indexes, distances between sets of features."""
