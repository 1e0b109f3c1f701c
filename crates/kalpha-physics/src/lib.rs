//! Elements, X-ray lines, attenuation, detectors and forward models.
