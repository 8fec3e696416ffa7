"""What is measured of valve points: planes, motion of the annuli, agreement of the views."""
