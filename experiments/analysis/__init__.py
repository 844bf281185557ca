"""What a study found: tables, figures and one report page.

Everything here reads one plain dictionary, the `results` of a study, and nothing else: no TensorFlow, no work folder.
Scores are fractions in [0, 1], rates are bits per pixel of the real bitstreams, PSNR and MS-SSIM dB are decibels,
`point` names an operating point (`bpg-qp40`) and is None where nothing was compressed, `restorer` names what restored
(`gan`) and is None where nothing was, `seed` is that of the training (of an evaluation: of its segmenter):

    study        name, created (ISO time), seconds, command, config (nested), seed (the first)
    versions     package -> version
    dataset      name, teaching (bool), classes [{name, color [r, g, b], small}], images {restore, train, test},
                 height, width, file_bpp, photographs (of the test images, or None), unlabelled [class name],
                 labelled_images (test images with a label), class_images {class name: with a label of it}; these two of
                 what was trained elsewhere
    points       [{point, codec, quality, compressed {bpp, bpp_min, bpp_max, train_bpp, psnr, ms_ssim, ms_ssim_db,
                 identical}, restored {restorer: {psnr, ms_ssim, ms_ssim_db, identical}}, family,
                 measured {images, missing [key]}}], on the test split;
                 psnr leaves out so many images that are identical to their originals
    original_bpp rate of the test split as lossless PNG
    evaluations  [{configuration, point, restorer, seed, miou, pixel_accuracy, per_class {class name: IoU or None},
                 confusion [[pixels, a column for what was said], a row a class], tested {images, missing [key]}}]
    left_out     [{point, restorer, keys}], test images that nothing is scored or measured on; of what was trained
                 elsewhere
    perceptual   [{point, domain, restorer, niqe [a test image each, in key order], hosa [the same]}]; empty if not
    measured
    shift        features (whose), images, channels, halves {frechet, kernel}, original [mean activation of a channel
    each],
                 domains [{point, domain, restorer, frechet {value, low, high}, kernel {value, low, high},
                 change {frechet {value, low, high}, kernel {...}} against compressed or None, correlation {slope, r2,
                 rms, activations [as original]}}]; or None if not measured
    restorer_images  [{point, restorer or None (CO), images, miou [a seed each]}]; or None if not tried
    inference_times  device, height, width, stages [{stage encode | decode | restore | segment, point, restorer,
                 seconds [an image each]}]; or None if not measured
    scaling      [{point, restorer or None (CO), images, bytes [of an image], miou [a seed each]}]; or None if not tried
    trainings    [{kind, name, point, domain, restorer, seed, steps, seconds, parameters,
                 curves {name: [[step, value], ...]}}]
    samples      [{key, point, images {original, compressed, label, OO, CO, CC, OC: PNG path},
                 restored {restorer: {restored, RO, OR: PNG path}}, bytes, psnr}], predictions of the first seed; a path
                 that is missing was not made
    gallery      [{key, picture: PNG path, psnr {point: dB}}], what compression changed most, that first
    timings      [{stage, images, seconds, per_image_ms}]
    artefacts    [{kind, name, folder, fingerprint, created, seconds, inputs {role: fingerprint}}]
"""
