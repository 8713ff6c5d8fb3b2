"""Makes a small CT study as files: patient id, number of images, directory."""

import os
import sys

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from wardlib import report

SIZE = 128


def image(patient, study, series, number):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.PatientID, data.PatientName = patient, "TEST^PATIENT"
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", 1, number
    data.Modality, data.Manufacturer = "CT", "WARD TEST"
    data.Rows = data.Columns = SIZE
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.RescaleIntercept, data.RescaleSlope = -1024, 1
    data.PixelData = bytes((x * y + number) & 0xFF for y in range(SIZE) for x in range(2 * SIZE))
    return data


patient, count, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.makedirs(directory, exist_ok=True)
study, series = generate_uid(), generate_uid()
instances = []
for number in range(1, count + 1):
    one = image(patient, study, series, number)
    one.save_as(os.path.join(directory, f"{number}.dcm"), enforce_file_format=True)
    instances.append(one.SOPInstanceUID)
report(dir=directory, study=study, instances=instances)
