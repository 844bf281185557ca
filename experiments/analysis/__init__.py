"""What a study found: tables, figures and one report page.

Everything here reads one plain dictionary, the `results` of a study, and nothing else: no TensorFlow, no work folder.
Scores are fractions in [0, 1], rates are bits per pixel of the real bitstreams, PSNR and MS-SSIM dB are decibels,
`point` names an operating point (`bpg-qp40`) and is None for the configuration OO:

    study        name, created (ISO time), seconds, command, config (nested), seed
    versions     package -> version
    dataset      name, teaching (bool), classes [{name, color [r, g, b], small}], images {restore, train, test},
                 height, width
    points       [{point, codec, quality, compressed {bpp, bpp_min, bpp_max, train_bpp, psnr, ms_ssim, ms_ssim_db},
                 restored {psnr, ms_ssim, ms_ssim_db} or None}], measured on the test split
    original_bpp rate of the test split as lossless PNG
    evaluations  [{configuration, point, miou, pixel_accuracy, per_class {class name: IoU or None}}]
    trainings    [{kind, name, point, domain, steps, seconds, parameters, curves {name: [[step, value], ...]}}]
    samples      [{key, point, images {original, compressed, restored, label, OO, CO, RO, CC, OC, OR: PNG path or None},
                 bytes, psnr}]
    timings      [{stage, images, seconds, per_image_ms}]
    artefacts    [{kind, name, folder, fingerprint, created, seconds, inputs {role: fingerprint}}]
"""
