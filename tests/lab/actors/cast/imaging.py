"""DICOM: modalities, archives and viewers. Two stacks: PyPI `pynetdicom`, and DCMTK's programs."""

import asyncio
import pathlib

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom import sop_class

CLASSES = {
    "CT": sop_class.CTImageStorage, "MR": sop_class.MRImageStorage,
    "US": sop_class.UltrasoundImageStorage, "CR": sop_class.ComputedRadiographyImageStorage,
    "DX": sop_class.DigitalXRayImageStorageForPresentation,
    "MG": sop_class.DigitalMammographyXRayImageStorageForPresentation,
    "XA": sop_class.XRayAngiographicImageStorage, "PT": sop_class.PositronEmissionTomographyImageStorage,
    "NM": sop_class.NuclearMedicineImageStorage, "ES": sop_class.VLEndoscopicImageStorage,
}


def image(player, modality, side, study, series, number):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = CLASSES[modality]
    data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = CLASSES[modality]
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.PatientID, data.PatientName = f"TEST{number:04d}", "TEST^PATIENT"
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", 1, number
    data.Modality, data.Manufacturer = modality, "WARD TEST"
    data.Rows = data.Columns = side
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, 0
    data.PixelData = player.rng.randbytes(2 * side * side)
    return data


def entity(title, implementation, uid=None, pdu=16382):
    ae = AE(ae_title=title)
    ae.implementation_version_name = implementation or None
    if uid:
        ae.implementation_class_uid = uid
    ae.maximum_pdu_size = pdu
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 8
    ae.connection_timeout = 4
    return ae


def worklist_key(title, modality):
    key, step = Dataset(), Dataset()
    key.PatientName = key.PatientID = key.AccessionNumber = ""
    step.ScheduledStationAETitle, step.Modality = title, modality
    step.ScheduledProcedureStepStartDate = ""
    key.ScheduledProcedureStepSequence = [step]
    return key


async def modality(player, peer, title, called, modality, implementation, every_s, port=104,
                   images=3, side=128, uid=None, pdu=16382, worklist=None, worklist_port=11112,
                   worklist_called="RIS", worklist_every_s=15.0, echo_every_s=0.0):
    """Sends studies, asks for its worklist, checks that the archive is there (pynetdicom)."""
    ae = entity(title, implementation, uid, pdu)

    def store():
        study, series = generate_uid(), generate_uid()
        ae.requested_contexts = []
        ae.add_requested_context(CLASSES[modality], [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        link = ae.associate(peer, port, ae_title=called)
        if link.is_established:
            for number in range(1, player.rng.randrange(1, images + 1) + 1):
                link.send_c_store(image(player, modality, side, study, series, number))
            link.release()

    def ask():
        ae.requested_contexts = []
        ae.add_requested_context(sop_class.ModalityWorklistInformationFind)
        link = ae.associate(worklist, worklist_port, ae_title=worklist_called)
        if link.is_established:
            list(link.send_c_find(worklist_key(title, modality),
                                  sop_class.ModalityWorklistInformationFind))
            link.release()

    def echo():
        ae.requested_contexts = []
        ae.add_requested_context(sop_class.Verification)
        link = ae.associate(peer, port, ae_title=called)
        if link.is_established:
            link.send_c_echo()
            link.release()

    lock = asyncio.Lock()

    async def again(work, pause_s):
        async for _ in player.beats(pause_s, 0.3):
            async with lock:
                await asyncio.to_thread(work)

    tasks = [again(store, every_s)]
    if worklist:
        tasks.append(again(ask, worklist_every_s))
    if echo_every_s:
        tasks.append(again(echo, echo_every_s))
    await asyncio.gather(*tasks)


async def archive(player, title, implementation, port=104, uid=None, pdu=65536, find=True):
    """A storage SCP that also answers questions and checks (pynetdicom)."""
    ae = entity(title, implementation, uid, pdu)
    ae.require_called_aet = False
    for one in CLASSES.values():
        ae.add_supported_context(one, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    ae.add_supported_context(sop_class.Verification)
    if find:
        ae.add_supported_context(sop_class.StudyRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(sop_class.PatientRootQueryRetrieveInformationModelFind)
        ae.add_supported_context(sop_class.ModalityWorklistInformationFind)

    def answer(event):
        for number in range(player.rng.randrange(0, 6)):
            found = Dataset()
            found.QueryRetrieveLevel = "STUDY"
            found.PatientID, found.PatientName = f"TEST{number:04d}", "TEST^PATIENT"
            found.StudyInstanceUID, found.StudyDescription = generate_uid(), "CT HEAD"
            yield 0xFF00, found

    ae.start_server(("", port), block=False, evt_handlers=[
        (evt.EVT_C_STORE, lambda event: 0x0000), (evt.EVT_C_ECHO, lambda event: 0x0000),
        (evt.EVT_C_FIND, answer)])
    await asyncio.Event().wait()


async def viewer(player, peer, title, called, implementation, every_s, port=104):
    """A reading station that asks an archive for studies (pynetdicom)."""
    ae = entity(title, implementation)
    ae.add_requested_context(sop_class.StudyRootQueryRetrieveInformationModelFind)
    ae.add_requested_context(sop_class.StudyRootQueryRetrieveInformationModelMove)

    def query():
        link = ae.associate(peer, port, ae_title=called)
        if link.is_established:
            key = Dataset()
            key.QueryRetrieveLevel, key.PatientID = "STUDY", "TEST*"
            key.StudyInstanceUID = key.StudyDescription = ""
            list(link.send_c_find(key, sop_class.StudyRootQueryRetrieveInformationModelFind))
            link.release()

    async for _ in player.beats(every_s, 0.4):
        await asyncio.to_thread(query)


async def run(*command):
    """One of DCMTK's programs, quietly and not for ever."""
    process = await asyncio.create_subprocess_exec(
        "timeout", "15", *command, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    await process.wait()


async def dcmtk_modality(player, peer, title, called, modality, every_s, port=104, images=3,
                         side=128, worklist=None, worklist_port=11112, worklist_called="RIS",
                         worklist_every_s=15.0, options=()):
    """The same with DCMTK's `storescu`, `findscu` and `echoscu`."""
    folder = pathlib.Path(player.dir) / player.name
    folder.mkdir(parents=True, exist_ok=True)
    study, series = generate_uid(), generate_uid()
    for number in range(1, images + 1):
        image(player, modality, side, study, series, number).save_as(
            folder / f"{number}.dcm", enforce_file_format=True)

    async def ask():
        async for _ in player.beats(worklist_every_s, 0.2):
            await run("findscu", "-W", "-aet", title, "-aec", worklist_called, worklist,
                      str(worklist_port), "-k", "0010,0010",
                      "-k", f"0040,0100[0].0040,0001={title}")

    async def store():
        async for number in player.beats(every_s, 0.3):
            if number % 3 == 0:
                await run("echoscu", "-aet", title, "-aec", called, peer, str(port))
            files = sorted(folder.glob("*.dcm"))[:player.rng.randrange(1, images + 1)]
            await run("storescu", *options, "-aet", title, "-aec", called, peer, str(port),
                      *map(str, files))

    await asyncio.gather(store(), *([ask()] if worklist else []))


async def dcmtk_archive(player, title, port=104):
    """DCMTK's `storescp`, which keeps nothing."""
    process = await asyncio.create_subprocess_exec(
        "storescp", "--ignore", "-aet", title, str(port), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    await process.wait()
    raise RuntimeError("storescp ended")
