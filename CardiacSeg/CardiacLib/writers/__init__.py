"""Files of one study: images, labels, segmentations, markups, DICOM SEG."""
